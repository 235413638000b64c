"""Committed rulers: what they are called, when they are taken, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, sha256_file
from difflab.core.base.roles import ruler
from difflab.core.params import load_params
from difflab.ddpm import classifier
from difflab.miniature.data.bundled import held_out_digits, training_digits
from difflab.miniature.zoo import small_vision_encoder
from difflab.models.rulers import describe, take
from difflab.models.vision import vision_encoder
from fakes import zoo

ROLE = Path("models/zoo/vision_encoder")
NAMES = ["vision_encoder", "classifier/cifar10", "classifier/mnist"]


@pytest.fixture
def committed(tmp_path, monkeypatch) -> Path:
    """A described ruler under rulers/ of the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = Path("rulers/vision_encoder")
    folder.mkdir(parents=True)
    save_file({"weight": np.arange(6, dtype=np.float16)}, folder / "model.safetensors")
    describe(folder, "zoo_vision_encoder", zoo.vision_encoder(), "pictures", {"digit_accuracy": 0.5})
    return folder


def test_a_ruler_is_named_by_its_weights_alone(committed, tmp_path):
    shutil.copytree(committed, "copy")
    Path("copy/config.json").write_text("{}")
    assert ruler("copy") == ruler(committed)
    save_file({"weight": np.arange(6, dtype=np.float16) + 1}, "copy/model.safetensors")
    assert ruler("copy") != ruler(committed)
    assert len(ruler("copy")) == 12


def test_a_folder_without_weights_is_no_ruler(tmp_path):
    with pytest.raises(DifflabError, match="holds no weights: run `dvc repro zoo_"):
        ruler(tmp_path)


def test_the_ruler_of_these_settings_and_pictures_is_copied(committed):
    take(ROLE, zoo.vision_encoder(), "pictures")
    assert sha256_file(ROLE) == sha256_file(committed)
    facts = read_json(ROLE / "ruler.json")
    assert facts["ruler"] == ruler(ROLE)
    assert facts["weights"] == {"model.safetensors": sha256_file(ROLE / "model.safetensors")}
    assert facts["accuracy"] == {"digit_accuracy": 0.5}
    assert "torch" in facts["libraries"]


def test_settings_that_change_no_weight_do_not_matter(committed):
    training = zoo.vision_encoder().training.model_copy(update={"log_interval": 7, "checkpoint_interval": 9})
    take(ROLE, zoo.vision_encoder(training=training), "pictures")
    assert ROLE.is_dir()


def test_other_settings_are_named_and_refused(committed):
    training = zoo.vision_encoder().training.model_copy(update={"steps": 17})
    with pytest.raises(DifflabError, match=r"trained with training\.steps=\d+, not 17: -S zoo\.rulers=retrain"):
        take(ROLE, zoo.vision_encoder(training=training), "pictures")
    assert not ROLE.exists()


def test_other_pictures_are_refused(committed):
    with pytest.raises(DifflabError, match=r"trained on other pictures .*: -S zoo\.rulers=retrain"):
        take(ROLE, zoo.vision_encoder(), "others")


def test_weights_that_are_not_those_described_are_refused(committed):
    save_file({"weight": np.zeros(6, np.float16)}, committed / "model.safetensors")
    with pytest.raises(
        DifflabError, match=r"other weights than its ruler\.json says: `git checkout rulers/vision_encoder`"
    ):
        take(ROLE, zoo.vision_encoder(), "pictures")


def test_an_absent_ruler_is_one_clear_line(committed):
    shutil.rmtree(committed)
    with pytest.raises(DifflabError, match="rulers/vision_encoder holds no ruler: `git checkout"):
        take(ROLE, zoo.vision_encoder(), "pictures")


@pytest.mark.parametrize("name", NAMES)
def test_the_rulers_of_this_repository_are_what_their_descriptions_say(root, name):
    facts = json.loads((root / "rulers" / name / "ruler.json").read_text())
    assert ruler(root / "rulers" / name) == facts["ruler"]


def test_the_rulers_of_this_repository_are_small(root):
    files = [path for path in (root / "rulers").rglob("*") if path.is_file()]
    assert {str(path.parent.relative_to(root / "rulers")) for path in files} == set(NAMES)
    assert sum(path.stat().st_size for path in files) < 2e6


def test_the_committed_vision_encoder_is_that_of_the_default_study(root, tmp_path, monkeypatch):
    """Its settings and pictures are those of params.yaml, and it knows digits that it has not seen."""
    params = load_params(root / "params.yaml")
    encoder, split, seed = params.zoo.vision_encoder, params.split, params.seed
    monkeypatch.chdir(tmp_path)
    shutil.copytree(root / "rulers", "rulers")
    take(ROLE, encoder, small_vision_encoder.pictures_hash(training_digits(split, seed), encoder.image_size))
    model = vision_encoder.load(ROLE)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    accuracy = small_vision_encoder.held_out_accuracy(model, held_out_digits(split, seed), seed, 1)
    assert accuracy["digit_accuracy"] > 0.95
    assert accuracy["photo_accuracy"] > 0.99


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_the_committed_classifiers_have_the_settings_of_the_default_study(root, tmp_path, monkeypatch, name):
    settings = load_params(root / "params.yaml").zoo.classifier[name]
    monkeypatch.chdir(tmp_path)
    shutil.copytree(root / "rulers", "rulers")
    folder = Path("models/zoo/classifier") / name
    take(folder, settings, read_json(Path("rulers/classifier") / name / "ruler.json")["pictures"])
    network = classifier.load(folder)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert len(network.classes) == 10

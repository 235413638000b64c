"""One training of each cell: with every method and prior it trains, is measured and saved, and the base stays as it was."""

import copy
import math

import numpy as np
import pytest
import torch

from difflab.core.base.errors import Interrupted
from difflab.core.base.files import read_json, read_parquet
from difflab.core.params.common import RuntimeParams
from difflab.images.archives.opening import open_archive
from difflab.metrics.features.features import VisionEncoderExtractor
from difflab.miniature.zoo import small_vision_encoder
from difflab.models.vision import vision_encoder
from difflab.personal.cells import METHODS, PRIORS, Cell
from difflab.personal.methods import EMBEDDING_FILE, LORA_FILE
from difflab.personal.subjects import read_subjects
from difflab.personal.trainings import RESULT, SHOWN, Study
from difflab.training.seeds import CURVE
from fakes import zoo

RUNTIME = RuntimeParams(num_threads=1, processes=1, device="cpu", dtype="float32", compile=False, numerics="pinned")
FILES = {"lora": LORA_FILE, "lora_text": LORA_FILE, "full": "network", "textual_inversion": EMBEDDING_FILE}


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """The folder of an untrained encoder."""
    folder = tmp_path_factory.mktemp("judge")
    vit = small_vision_encoder.build(zoo.vision_encoder(), 0).vit
    vision_encoder.save(folder, vision_encoder.VisionEncoder(vit, {"colour": ("red", "blue")}))
    return folder


@pytest.fixture
def study(folder, params, base, judge):
    settings = params(masks=False)
    subjects = read_subjects(open_archive(folder), settings, base.image_size)
    return Study(base, subjects, VisionEncoderExtractor(judge), [], settings, seed=0, origin="0123456789abcdef")


def trained(study, cell, folder, steps=()):
    """What a training of the subject `dog` leaves in a folder, and what it logged."""
    logged = []
    save = study.train(
        cell, "dog", 0, RUNTIME, folder / "scratch", lambda values, step: logged.append(values), steps
    )  # fmt: skip
    save(folder / "kept")
    return folder / "kept", logged


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_and_prior_trains_is_measured_and_saved(study, tmp_path, method, prior):
    kept, logged = trained(study, Cell(method, prior, 3), tmp_path)
    result = read_json(kept / RESULT)
    assert (result["pictures"], result["by_step"]) == (3, {})
    assert result["trained_parameters"] > 0
    assert result["measures"].keys() == study.of_base("dog", 0)[0].keys()
    assert all(math.isfinite(value) for value in result["measures"].values())
    assert [path.name for path in (kept / "model").iterdir()] == [FILES[method]]
    assert np.load(kept / SHOWN).shape == (study.params.shown, 16, 16, 3)
    rows = read_parquet(kept / CURVE)
    assert len(rows) == study.params.training.steps
    assert ("prior_loss" in rows) == (prior != "none")
    assert {name.partition("/")[0] for values in logged for name in values} == {f"{method}_{prior}-3-dog-0"}


def test_the_base_is_left_as_it_was(study, tmp_path):
    before = copy.deepcopy(study.base.network.state_dict())
    trained(study, Cell("full", "output", 3), tmp_path)
    for name, tensor in study.base.network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_trainings_of_fewer_pictures_see_fewer(study, tmp_path):
    kept, _ = trained(study, Cell("lora", "none", 2), tmp_path)
    assert read_json(kept / RESULT)["pictures"] == 2


def test_what_was_measured_on_the_way_outlives_a_stop(study, tmp_path, monkeypatch):
    calls, measured = [], study.measured

    def stopping(*arguments):
        calls.append(arguments)
        if len(calls) == 2:  # after step 1 and at the end
            raise Interrupted("stopped")
        return measured(*arguments)

    monkeypatch.setattr(study, "measured", stopping)
    with pytest.raises(Interrupted):
        trained(study, Cell("lora", "none", 3), tmp_path, steps=[1])
    kept, _ = trained(study, Cell("lora", "none", 3), tmp_path, steps=[1])
    assert len(calls) == 3, "only the end was measured again"
    result = read_json(kept / RESULT)
    assert result["by_step"]["1"].keys() == result["measures"].keys()
    whole, _ = trained(study, Cell("lora", "none", 3), tmp_path / "whole", steps=[1])
    assert read_json(whole / RESULT) == result


def test_class_pictures_are_of_the_subjects_captions_without_the_token(study):
    found = study.class_images("dog", ["a dog on picture 1", "a dog on picture 2"])
    assert list(found.prompts) == ["a dog on picture 1", "a dog on picture 2"] * 2
    assert len(found.latents) == study.params.prior_images == 4
    assert len(torch.unique(found.latents, dim=0)) == 4  # each from noise of its own

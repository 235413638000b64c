"""The stages of the captioner, on pictures of one colour and models of the smallest size."""

import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from difflab.captioning.captioner_model.captioner_folder import load_captioner
from difflab.captioning.mixed_set import MixedSet
from difflab.core.base import rng
from difflab.core.base.errors import DifflabError, Interrupted
from difflab.core.base.files import read_json, sha256_bytes, sha256_file
from difflab.core.base.store.captions import read_captions
from fakes import tiny_captioner as tiny
from fakes.mixed_sets import ORIGINALS, SPLITS, content, write_mixed
from fakes.running_stage import RunningStage


@pytest.fixture
def workspace(root, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(tmp_path)
    write_mixed(tmp_path / "data")
    tiny.save_roles(tmp_path / "models/zoo")
    return tmp_path


@pytest.fixture
def steps(monkeypatch):
    """What was trained: the name of the captioner at each of its steps, and what happens before step n of all."""
    counted = SimpleNamespace(of=[], before={})
    keyed = rng.key

    def key(seed, purpose, *parts):
        if purpose == "dropout":
            counted.before.get(len(counted.of), lambda: None)()
            counted.of.append(parts[0])
        return keyed(seed, purpose, *parts)

    monkeypatch.setattr(rng, "key", key)
    return counted


def running(seeds=(0,), scratch="scratch", originals=(None,), subset_seeds=(0, 1)):
    training = tiny.training(steps=4, checkpoint_interval=2, log_interval=2)
    listed = {"seeds": list(seeds), "subset_seeds": list(subset_seeds), "originals": list(originals)}
    return RunningStage(scratch, captioner=tiny.params(training=training, **listed))


def train(data, seeds=(0,), scratch="scratch", originals=(None,)):
    from stages.captioning.captioner import main

    stage = running(seeds, scratch, originals)
    main(stage, data=data)
    assert stage.kept_but == ("captioner.seeds", "captioner.subset_seeds", "captioner.originals")
    return stage


def outputs(data):
    """The hashes of what the stage wrote."""
    files = (f"models/captioner/{data}", f"data/captioner/{data}.parquet", f"plots/captioner/{data}.csv")
    return [sha256_file(file) for file in (*files, f"metrics/captioner/{data}.json")]


@pytest.mark.parametrize(("data", "images"), [("original", 2), ("mixed", 4), ("synthetic", 2)])
def test_each_seed_trains_on_the_data_for_the_same_steps_and_captions_the_test_images(workspace, data, images):
    train(data, [0, 3])
    metrics = read_json(f"metrics/captioner/{data}.json")
    assert (metrics["train_images"], metrics["train_titles"], metrics["test_images"]) == (images, images, 1)
    curve = pd.read_csv(f"plots/captioner/{data}.csv")
    assert curve[["seed", "step"]].to_numpy().tolist() == [[seed, step] for seed in (0, 3) for step in (0, 2, 4)]
    assert sorted(path.name for path in Path(f"models/captioner/{data}").iterdir()) == ["seed-0", "seed-3"]
    losses = curve.groupby("seed")["val_loss"].min()
    for seed in (0, 3):
        assert metrics[f"seed_{seed}_val_loss"] == pytest.approx(losses[seed], rel=1e-5)
        table = read_captions(f"data/captioner/{data}.parquet", f"seed-{seed}")
        assert table.index.tolist() == ["b"]
        assert table["source_sha256"].tolist() == [sha256_bytes(content(ORIGINALS["b"]))]
        captioner, settings = load_captioner(f"models/captioner/{data}/seed-{seed}", "cpu", torch.float32)
        mixed = MixedSet()
        (pictures,) = mixed.images(mixed.part("test"))
        assert captioner.captions_of(pictures, settings.decoding) == table["caption"].tolist()
    assert metrics["val_loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert metrics["val_loss_spread"] == pytest.approx(losses.std(), abs=1e-4)  # the curve has six digits


def test_the_outputs_are_the_same_bytes_every_time(workspace):
    hashes = []
    for scratch in ("first", "second"):
        train("mixed", [0, 1], scratch)
        hashes.append(outputs("mixed"))
    assert hashes[0] == hashes[1]


def test_seeds_differ_and_do_not_depend_on_those_beside_them(workspace):
    train("original", [0, 1], "both")
    together = [sha256_file(f"models/captioner/original/seed-{seed}") for seed in (0, 1)]
    assert together[0] != together[1]
    curve = pd.read_csv("plots/captioner/original.csv")
    train("original", [1], "alone")
    assert sha256_file("models/captioner/original/seed-1") == together[1]
    own = pd.read_csv("plots/captioner/original.csv")
    assert own.equals(curve[curve["seed"] == 1].reset_index(drop=True))
    assert "val_loss_spread" not in read_json("metrics/captioner/original.json")


def test_a_longer_list_trains_what_is_missing(workspace, steps):
    whole = train("original", [0, 1, 2], "whole")
    expected = outputs("original")
    train("original", [0, 1])
    steps.of.clear()
    longer = train("original", [2, 1, 0])
    assert steps.of == ["captioner original-seed-2"] * 4
    assert outputs("original") == expected
    steps.of.clear()
    train("original", [1])
    assert not steps.of
    assert [path.name for path in Path("models/captioner/original").iterdir()] == ["seed-1"]
    for name in (f"seed-{seed}/val_loss" for seed in range(3)):  # the curves of those that were kept too
        assert longer.logged[name] == whole.logged[name]
        assert list(longer.logged[name]) == [0, 2, 4]


def test_a_stage_that_was_killed_goes_on_within_its_seed(workspace, steps):
    train("original", [0, 1, 2], "whole")
    expected = outputs("original")
    shutil.rmtree("models/captioner")
    steps.of.clear()
    steps.before[10] = lambda: os.kill(os.getpid(), signal.SIGINT)  # before step 2 of the third seed
    with pytest.raises(Interrupted):
        train("original", [0, 1, 2])
    assert not Path("models/captioner").exists()
    steps.of.clear()
    steps.before.clear()
    train("original", [0, 1, 2])
    assert 0 < len(steps.of) < 4
    assert set(steps.of) == {"captioner original-seed-2"}
    assert outputs("original") == expected


def test_more_sizes_train_what_is_missing_and_change_nothing_else(workspace, steps):
    train("mixed", [0, 1])
    models, curves = sha256_file("models/captioner/mixed"), sha256_file("plots/captioner/mixed.csv")
    steps.of.clear()
    train("mixed", [0, 1], originals=(None, 1))
    assert set(steps.of) == {f"captioner mixed-originals-1-seed-{seed}" for seed in (0, 1)}
    assert (sha256_file("models/captioner/mixed"), sha256_file("plots/captioner/mixed.csv")) == (models, curves)
    captions = pd.read_parquet("data/captioner/mixed.parquet")
    assert set(captions["variant"]) == {f"{size}seed-{seed}" for size in ("", "originals-1-") for seed in (0, 1)}
    metrics = read_json("metrics/captioner/mixed.json")
    assert (metrics["seeds"], metrics["train_images"]) == (2, 4)
    assert 1 <= metrics["originals_1_train_images"] <= 3


def test_before_training_the_same_images_are_captioned(workspace):
    from stages.captioning.captioner_zero_shot import main

    main(running())
    table = read_captions("data/captioner/zero_shot.parquet", "seed-0")
    assert table.index.tolist() == [id for id, split in SPLITS.items() if split == "test"]


def test_a_training_set_without_pictures_is_one_line(workspace):
    only_originals = {id: split for id, split in SPLITS.items() if "-v" not in id}
    write_mixed(workspace / "data", only_originals)
    with pytest.raises(DifflabError, match="no synthetic row in train: run `dvc repro mix`"):
        train("synthetic")

"""The stage of fine-tuning: an adapter for each seed, of which finished ones are kept."""

import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from difflab.core.base import rng
from difflab.core.base.errors import Interrupted
from difflab.core.base.files import read_json, sha256_file
from fakes import sd3_study

CELL = "blip2-zero"
ADAPTER = f"models/finetune/{CELL}/seed-%d"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    sd3_study.make_study(folder)
    return folder


@pytest.fixture
def workspace(made, root, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def steps(monkeypatch):
    """What was trained: the name of the training at each of its steps, and what happens before step n of all."""
    counted, keyed = SimpleNamespace(of=[], before={}), rng.key

    def key(seed, purpose, *parts):
        if purpose == "dropout":
            counted.before.get(len(counted.of), lambda: None)()
            counted.of.append(parts[0])
        return keyed(seed, purpose, *parts)

    monkeypatch.setattr(rng, "key", key)
    return counted


def train(seeds=(0,), scratch="scratch"):
    from stages.sd3.finetune import main

    stage = sd3_study.Sd3Stage(seeds, scratch, steps=4, validation_interval=2, checkpoint_interval=1)
    main(stage, captions="blip2", logit_mean="zero")
    return stage


def outputs():
    files = (f"models/finetune/{CELL}", f"plots/finetune/{CELL}.csv", f"metrics/finetune/{CELL}.json")
    return [sha256_file(file) for file in files]


def test_each_seed_has_an_adapter_with_its_kept_steps_and_a_curve(workspace):
    said = train([3, 0]).said
    for seed in (0, 3):
        files = sorted(str(path.relative_to(ADAPTER % seed)) for path in Path(ADAPTER % seed).rglob("*.safetensors"))
        assert files == ["checkpoints/step-000001/pytorch_lora_weights.safetensors", "pytorch_lora_weights.safetensors"]
    curve = pd.read_csv(f"plots/finetune/{CELL}.csv")
    assert curve[["seed", "step"]].to_numpy().tolist() == [[seed, step] for seed in (0, 3) for step in (0, 2, 4)]
    metrics = read_json(f"metrics/finetune/{CELL}.json")
    last = curve[curve["step"] == 4].set_index("seed")["val_loss"]
    assert (metrics["trainings"], metrics["train_images"], metrics["step"]) == (2, 4, 4)
    assert [metrics["seed_0_val_loss"], metrics["seed_3_val_loss"]] == pytest.approx(last.tolist(), rel=1e-5)
    assert metrics["val_loss"] == pytest.approx(last.mean(), rel=1e-5)
    start = curve[curve["step"] == 0]["val_loss"]
    assert start.tolist() == pytest.approx([metrics["val_loss_pretrained"]] * 2, rel=1e-5)
    assert not [name for name in metrics if name.endswith("_std")]
    assert f"{metrics['val_loss_pretrained']:.4f} -> {metrics['val_loss']:.4f}" in said


def test_seeds_differ_and_do_not_depend_on_those_beside_them(workspace):
    train([0, 1], "both")
    together = [sha256_file(ADAPTER % seed) for seed in (0, 1)]
    assert together[0] != together[1]
    train([1], "alone")
    assert sha256_file(ADAPTER % 1) == together[1]


def test_a_longer_list_trains_what_is_missing(workspace, steps):
    whole = train([0, 1, 2], "whole")
    expected = outputs()
    train([0, 1])
    steps.of.clear()
    longer = train([2, 1, 0])
    assert steps.of == [f"finetune {CELL}-2"] * 4
    assert outputs() == expected
    for seed in range(3):  # the curves of those that were kept too
        assert longer.logged[f"seed-{seed}/val_loss"] == whole.logged[f"seed-{seed}/val_loss"]


def test_a_stage_that_was_stopped_goes_on_within_its_seed(workspace, steps):
    train([0, 1], "whole")
    expected = outputs()
    shutil.rmtree("models/finetune")
    steps.of.clear()
    steps.before[6] = lambda: os.kill(os.getpid(), signal.SIGINT)  # before step 2 of the second seed
    with pytest.raises(Interrupted):
        train([0, 1])
    assert not Path("models/finetune").exists()
    steps.of.clear()
    steps.before.clear()
    train([0, 1])
    assert 0 < len(steps.of) < 4
    assert set(steps.of) == {f"finetune {CELL}-1"}
    assert outputs() == expected

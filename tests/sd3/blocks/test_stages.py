"""Both stages on the smallest study: what they write, what they keep, and what they refuse."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from difflab.core.base.errors import DifflabError, Interrupted
from difflab.core.base.files import read_json, sha256_file
from difflab.sd3 import sampling_curve
from difflab.sd3.blocks import effects
from difflab.sd3.blocks.effects import Bench
from difflab.sd3.blocks.ways import WAYS
from difflab.sd3.params import BlocksParams, ScoreParams
from difflab.sd3.scoring.scores import Judge
from fakes import sd3_study
from fakes.study_results import Extractor

TARGETS = ["attn.to_q", "attn.to_k", "attn.to_v", "ff"]
OUTPUTS = [*(f"plots/blocks/{name}.csv" for name in ("effects", "ranks", "agreement")), "metrics/rank_blocks.json"]
SCORE = dict(extractor="vision_encoder", reference_split="train", floor_split="val", min_images=4, batch_size=3,
    kid_subsets=2, kid_subset_size=50, margin=0.1, real_faces=False)  # fmt: skip


class BlocksStage(sd3_study.Sd3Stage):
    def __init__(self, **changes):
        super().__init__(validation_interval=1)
        values = dict(captions="blip2", num_images=2, ablated_images=4, held_out_samples=2, mean_samples=3, k=1,
            logit_mean="zero", random_sets=3, seeds=[0, 1], steps=1, targets=TARGETS)  # fmt: skip
        self.params.score = ScoreParams(**SCORE).model_copy(update={"min_images": 2})  # which no study takes
        self.params.blocks = BlocksParams(**{**values, **changes})

    def kept(self, *without):
        assert without == ("blocks.seeds", "blocks.random_sets")
        return super().kept("finetune.seeds")

    def log_metrics(self, values, step=None):
        pass


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    """The study with its blocks ranked."""
    folder = tmp_path_factory.mktemp("study")
    sd3_study.make_study(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root))
        patch.chdir(folder)
        patch.setattr("difflab.sd3.scoring.scores.load_judge", load_judge)
        rank()
    return folder


@pytest.fixture
def workspace(made, root, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "scratch", ignore_errors=True)
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sampling_curve, "load_judge", load_judge)
    return tmp_path


def load_judge(store, params, device, seed, side):
    extractor = Extractor()
    images = np.stack([np.asarray(image) for image in store.read(store.split("train"))])
    return Judge(extractor(images), extractor, pd.DataFrame(index=store.ids), params, seed, side)


def rank(**changes):
    from stages.sd3 import rank_blocks

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rank_blocks, "load_judge", load_judge)
        rank_blocks.main(BlocksStage(**changes))
    return {path: sha256_file(path) for path in OUTPUTS}


def tune(**changes):
    from stages.sd3.tune_blocks import main

    stage = BlocksStage(**changes)
    main(stage)
    return stage


def test_every_block_is_taken_away_in_every_way(made):
    found = pd.read_csv(made / "plots/blocks/effects.csv")
    assert set(map(tuple, found[["way", "block"]].to_numpy())) == {(way, block) for way in WAYS for block in range(3)}
    assert {"loss", "loss_sigma_0.1", "fid"} <= set(found["measure"])
    ranks = pd.read_csv(made / "plots/blocks/ranks.csv")
    assert all(sorted(rows["rank"]) == [1, 2, 3] for _, rows in ranks.groupby("way"))
    assert read_json(made / "metrics/rank_blocks.json")["blocks"] == 3


def test_a_killed_ranking_goes_on_where_it_stopped_and_ends_as_if_it_had_not(workspace, made, monkeypatch):
    looked, look = [], Bench.look

    def counted(self, cell):
        if len(looked) == 5:
            raise KeyboardInterrupt
        looked.append(cell)
        return look(self, cell)

    monkeypatch.setattr(effects.Bench, "look", counted)
    with pytest.raises(Interrupted):
        rank()
    looked.clear()
    looked.append("")  # of 12 cells and the whole base eight are left
    monkeypatch.setattr(effects.Bench, "look", lambda self, cell: looked.append(cell) or look(self, cell))
    again = rank()
    assert len(looked) == 1 + 8
    assert again == {path: sha256_file(made / path) for path in OUTPUTS}


def test_sets_are_tuned_once_for_each_seed_with_equally_many_parameters(workspace):
    stage = tune()
    found = pd.read_csv("plots/blocks/tuning.csv", dtype={"blocks": str})
    assert list(map(tuple, found[["blocks", "seed"]].to_numpy())) == [(b, s) for s in (0, 1) for b in "012"]
    assert found["trained_parameters"].nunique() == 1
    assert found[["gain", "val_loss", "fid"]].notna().all(axis=None)
    metrics = read_json("metrics/tune_blocks.json")
    assert metrics["sets"] == 3
    assert all(metrics[f"{way}_verdict"] in ("predicts", "misleads", "open") for way in WAYS)
    assert "mean " in stage.said


def test_a_longer_list_of_seeds_trains_only_what_is_missing(workspace, capfd):
    tune(seeds=[0])
    capfd.readouterr()
    tune(seeds=[0, 1])
    said = capfd.readouterr().out
    assert [line.split(":")[0] for line in said.splitlines() if "kept from an earlier run" in line] == [
        f"tune_blocks-blocks-{block}-seed-0" for block in range(3)
    ]


def test_trained_parameters_are_counted_before_there_are_any(workspace, capfd):
    tune(seeds=[0])
    (count,) = set(pd.read_csv("plots/blocks/tuning.csv")["trained_parameters"])
    assert f"LoRA: {count:,} parameters in" in capfd.readouterr().out


def test_fewer_held_out_samples_than_asked(workspace):
    with pytest.raises(DifflabError, match="7 images of the val split are asked for, and it has 2: ask for fewer"):
        rank(held_out_samples=7)


def test_too_large_a_set(workspace):
    with pytest.raises(DifflabError, match=r"blocks\.k is 2, but the transformer has 3 blocks"):
        tune(k=2)


def test_targets_that_the_last_block_lacks(workspace):
    with pytest.raises(DifflabError, match=r"blocks.targets train .* name layers that every block has"):
        tune(targets=["attn"])


def test_nothing_is_trained_before_the_ranking(workspace):
    Path("plots/blocks/ranks.csv").unlink()
    with pytest.raises(DifflabError, match=r"plots/blocks/ranks.csv is missing: run `dvc repro rank_blocks`"):
        tune()

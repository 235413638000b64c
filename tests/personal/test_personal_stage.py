"""The stage on subjects of a few pictures and a base of random weights: what is measured, and what is not judged."""

import shutil
from types import SimpleNamespace

import pandas as pd
import pytest
from stages.personal import personal

from difflab.core.base.files import read_json
from difflab.core.params.common import RuntimeParams
from difflab.images.archives.acquire import acquire
from difflab.images.params import ArchiveParams
from difflab.personal.trainings import SubjectJudge
from fakes import tiny_pipelines
from fakes.running_stage import RunningStage

RUNTIME = RuntimeParams(num_threads=1, processes=1, device="cpu", dtype="float32", compile=False, numerics="pinned")
OF_SUBJECT = ("subject_accuracy", "similarity", "class_correct", "memorisation")


@pytest.fixture
def stage(folder, params, root, tmp_path_factory, monkeypatch):
    """The stage where `params(...)` are its parameters; pictures of the data root, an encoder that knows digits."""
    here = tmp_path_factory.mktemp("workspace")
    monkeypatch.chdir(here)
    tiny_pipelines.saved("sd", here / "models/zoo/diffusion")
    shutil.copytree(root / "rulers/vision_encoder", here / "models/zoo/vision_encoder")
    source = ArchiveParams(source="data_root", path=folder.name, url=None, sha256=None)
    acquire("subjects", here / "data/raw/subjects", source, str(folder.parent), lambda path: None, here)

    def run(**changes):
        changes = {"methods": ["lora"], "priors": ["none"], "pictures": [1, 2]} | changes
        groups = {
            "personal": params(**changes),
            "data": SimpleNamespace(data_root=str(folder.parent)),
            "runtime": RUNTIME,
        }
        stage = RunningStage(here, **groups)
        personal.main(stage)
        return stage

    return run


def test_measures_that_mean_nothing_are_not_written(stage, monkeypatch):
    """The judge cannot tell pictures of noise apart, and a base of the pipeline has never met a dog."""
    monkeypatch.setattr(SubjectJudge, "held_out_accuracy", lambda judge: 0.5)
    metrics = (found := stage()).metrics
    assert "whether the subject shows is not judged: of its own pictures the encoder names 50%" in found.said
    assert not [name for name in metrics if any(measure in name for measure in (*OF_SUBJECT, "drift"))]
    assert {"base_diversity", "lora_none_diversity", "judge_accuracy"} <= metrics.keys()
    written = read_json("metrics/personal.json")  # with six digits
    assert written == {k: v if isinstance(v, str) else pytest.approx(v, rel=1e-5) for k, v in metrics.items()}
    runs = pd.read_csv("plots/personal.csv")
    assert runs["subject_accuracy"].isna().all()
    assert runs["diversity"].notna().all()


def test_a_judge_that_can_tell_them_apart_is_believed(stage, monkeypatch):
    """And of prompts in the words of the miniature, the photograph that they name is looked for."""
    monkeypatch.setattr(SubjectJudge, "held_out_accuracy", lambda judge: 0.9)
    subjects, prompts = [{"name": "cat", "class_word": "digit"}], ["{} over an astronaut", "a {} on a motorcycle"]
    metrics = stage(subjects=subjects, prompts=prompts).metrics
    measures = (*OF_SUBJECT, "drift_kid", "prompt_accuracy")
    assert {f"{row}_{m}" for row in ("base", "lora_none", "pictures_1", "steps_1") for m in measures} <= metrics.keys()

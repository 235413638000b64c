"""The curves go on where they stopped, and a stop changes nothing."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from difflab.core.base.errors import Interrupted
from difflab.core.base.files import sha256_file
from difflab.sd3 import sampling, sampling_curve
from difflab.sd3.params import GuidanceCurveParams, ScoreParams, StepCurveParams
from difflab.sd3.scoring.scores import Judge
from fakes import sd3_study
from fakes.study_results import Extractor

SEEDS, SCALES = (0, 1), [1.0, 3.0]
SCORE = dict(extractor="vision_encoder", reference_split="train", floor_split="val", min_images=4, batch_size=3,
    kid_subsets=2, kid_subset_size=50, margin=0.1, real_faces=False)  # fmt: skip


class CurveStage(sd3_study.Sd3Stage):
    def __init__(self):
        super().__init__(seeds=SEEDS)
        cell = {"captions": "blip2", "trained_on": "blip2", "logit_mean": "zero", "num_images": 2}
        self.params.score = ScoreParams(**SCORE).model_copy(update={"min_images": 2})  # which no study takes
        self.params.generate = self.params.generate.model_copy(update={"batch_size": 1})
        self.params.guidance_curve = GuidanceCurveParams(**cell, guidance_scales=SCALES)
        self.params.step_curve = StepCurveParams(**cell)


@pytest.fixture(scope="module")
def fine_tuned(root, tmp_path_factory):
    """Two trainings of one cell."""
    folder = tmp_path_factory.mktemp("study")
    sd3_study.make_study(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root))
        patch.chdir(folder)
        from stages.sd3.finetune import main

        main(sd3_study.Sd3Stage(seeds=SEEDS), captions="blip2", logit_mean="zero")
    return folder


@pytest.fixture
def made(fine_tuned, root, tmp_path, monkeypatch):
    """The study in the working folder, each image a chunk; a list of the ids whose images were made."""
    shutil.copytree(fine_tuned, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "scratch", ignore_errors=True)
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sampling_curve, "BATCHES_PER_CHUNK", 1)
    monkeypatch.setattr(sampling_curve, "load_judge", load_judge)
    made, images = [], sampling.Generator.images

    def counted(self, ids, *args):
        made.extend(ids)
        if len(made) == made_at_most[0]:
            raise KeyboardInterrupt
        return images(self, ids, *args)

    made_at_most = [0]
    monkeypatch.setattr(sampling.Generator, "images", counted)
    return made, made_at_most


def load_judge(store, params, device, seed, side):
    extractor = Extractor()
    images = np.stack([np.asarray(image) for image in store.read(store.split("train"))])
    return Judge(extractor(images), extractor, pd.DataFrame(index=store.ids), params, seed, side)


def run(name):
    from stages.sd3 import guidance_curve, step_curve

    stage = CurveStage()
    {"guidance_curve": guidance_curve, "step_curve": step_curve}[name].main(stage)
    return {path: sha256_file(path) for path in map(Path, (f"plots/{name}.csv", f"metrics/{name}.json"))}


@pytest.mark.parametrize("name", ["guidance_curve", "step_curve"])
@pytest.mark.parametrize("stopped_at", [1, 2, 4, 7])
def test_a_killed_curve_goes_on_where_it_stopped_and_ends_as_if_it_had_not(made, name, stopped_at):
    """Two trainings, two points each, two images a point."""
    ids, at_most = made
    at_most[0] = stopped_at
    with pytest.raises(Interrupted):
        run(name)
    finished = len(ids) - 1
    assert finished == stopped_at - 1
    ids.clear()
    at_most[0] = 0
    again = run(name)
    assert len(ids) == 8 - finished
    shutil.rmtree("scratch")
    ids.clear()
    assert run(name) == again
    assert len(ids) == 8


def test_the_disk_holds_the_images_of_one_point(made):
    _, at_most = made
    at_most[0] = 8
    with pytest.raises(Interrupted):
        run("guidance_curve")
    assert len(list(Path("scratch").rglob("*.zip"))) == 1
    assert len(list(Path("scratch").rglob("points/*.json"))) == 3


def test_a_further_process_of_a_launcher_makes_its_share_and_writes_nothing(made, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    from stages.sd3.guidance_curve import main

    main(CurveStage())
    assert len(made[0]) == 4
    assert not Path("plots/guidance_curve.csv").exists()
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    run("guidance_curve")
    assert len(made[0]) == 8

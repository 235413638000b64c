"""The stages synthesize and sweep with a tiny model: what they write, and that a killed run goes on."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from difflab.captioning.params import SweepParams, SynthesizeParams
from difflab.core.base.errors import Interrupted
from difflab.core.base.files import png_bytes, sha256_file, write_parquet
from difflab.core.base.roles import ruler
from difflab.core.base.store.captions import read_captions
from difflab.core.base.store.image_store import ImageStore
from difflab.core.params import load_params
from difflab.images.preparing.store_writer import Sample, write_store
from difflab.miniature.zoo import small_vision_encoder
from difflab.models.pipelines.prompted import PromptedSampler
from difflab.models.vision.vision_encoder import save
from fakes import tiny_pipelines
from fakes.running_stage import RunningStage
from fakes.tiny_pipelines import axes

TITLES = ["Handwritten Three over Coffee", "A Rocket under a Nine", "One over a Cat"]
COUNT = 5


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, root):
    """Five recipes, one of them without variations, a tiny pipeline and an untrained vision encoder."""
    folder = tmp_path_factory.mktemp("workspace")
    tiny_pipelines.saved("sd", folder / "models/zoo/diffusion")
    (folder / "models/zoo/vision_encoder").mkdir()
    save(
        folder / "models/zoo/vision_encoder",
        small_vision_encoder.build(load_params(root / "params.yaml").zoo.vision_encoder, seed=0),
    )
    ids = [f"recipes-train-{n:012d}" for n in range(COUNT)]
    rows = [(id, v, title) for id in ids[1:] for v, title in enumerate(TITLES)]
    write_parquet(folder / "data/titles/variations.parquet", pd.DataFrame(rows, columns=["id", "number", "title"]))
    draw = np.random.default_rng(0)
    images = [png_bytes(Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8))) for _ in ids]
    table = pd.DataFrame({"file": ids, "split": "train"}, index=pd.Index(ids, name="id"))
    samples = [Sample(id, id, image, 32, 32) for id, image in zip(ids, images, strict=True)]
    write_store(folder / "data/images/recipes", samples, table, keep_absent=False)
    return folder


@pytest.fixture
def here(workspace, tmp_path, root, monkeypatch):
    """A copy of the workspace to work in, and the stages on the path."""
    shutil.copytree(workspace, tmp_path, dirs_exist_ok=True)
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def synthesis(**changes) -> RunningStage:
    values = {
        "positive": ", painted", "negative": "", "scheduler": "ddpm", "num_inference_steps": 2, "guidance_scale": 2.0,
        "batch_size": 4, "vae": "whole", "offload": False, "image_size": None, "sheet_images": 4,
    }  # fmt: skip
    return RunningStage(Path(), synthesize=SynthesizeParams(**{**values, **changes}))


def test_every_variation_becomes_a_picture_under_its_id(here):
    from stages.captioning.synthesize import main

    stage = synthesis()
    main(stage)
    store = ImageStore("data/synthetic")
    assert store.ids == [f"recipes-train-{n:012d}-v{v}" for n in range(1, COUNT) for v in range(3)]
    captions = read_captions("data/synthetic/captions.parquet", "synthetic")["caption"]
    assert captions.tolist() == TITLES * (COUNT - 1)  # the title, without what follows it in the prompt
    assert stage.metrics["n"] == len(store) == 12
    assert stage.metrics["prompts_truncated"] == 0
    assert {"digit_accuracy", "photo_accuracy", "both_accuracy"} <= set(stage.metrics)
    assert stage.metrics["ruler"] == ruler("models/zoo/vision_encoder")
    assert stage.said.startswith("wrote data/synthetic, 12 images, ")
    assert Image.open("plots/synthetic.png").size == (4 * 118 + 6, 112 + 3 * 14 + 2 * 6)
    assert sorted(p.name for p in Path("data/synthetic").iterdir()) == [
        "captions.parquet", "images", "index.parquet", "synthetic_captions.csv",
    ]  # fmt: skip


def test_prompts_that_are_cut_are_counted_and_told(here, capsys):
    from stages.captioning.synthesize import main

    stage = synthesis(positive=" and" + " a" * 12)
    main(stage)
    assert stage.metrics["prompts_truncated"] == 12
    assert "a prompt of 2" in capsys.readouterr().out


def stop_in_the_third_batch(monkeypatch) -> list[int]:
    """Ctrl-C while the third batch of all is made; the list gets an entry for each batch."""
    calls, original = [], PromptedSampler._batch

    def batch(self, *args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(PromptedSampler, "_batch", batch)
    return calls


def test_a_killed_run_keeps_its_batches_and_ends_with_the_same_bytes(here, monkeypatch):
    from stages.captioning.synthesize import main

    monkeypatch.setattr("stages.captioning.synthesize.BATCHES_PER_CHUNK", 1)
    main(synthesis())
    expected = sha256_file("data/synthetic")
    shutil.rmtree("data/synthetic")
    shutil.rmtree("scratch")
    calls = stop_in_the_third_batch(monkeypatch)
    with pytest.raises(Interrupted):
        main(synthesis())
    assert not Path("data/synthetic").exists()
    main(synthesis())
    assert len(calls) == 4  # two were kept
    assert sha256_file("data/synthetic") == expected


def test_a_negative_prompt_without_guidance_is_refused_with_the_parameters():
    with pytest.raises(ValueError, match="acts through guidance: set guidance_scale above 1"):
        synthesis(negative="dark", guidance_scale=1.0)


def sweeping(**presets) -> RunningStage:
    settings = SweepParams(
        num_images=4, batch_size=4, vae="whole", offload=False, shown=2, negative="dark", clip=None, presets=presets
    )
    return RunningStage(Path(), sweep=settings)


def test_a_sweep_is_one_table_one_grid_and_the_scores_of_each_cell(here, capsys):
    from stages.captioning.sweep import main

    stage = sweeping(schedulers=axes(schedulers=["ddim", "flow-match"]), guidance=axes(guidance_scales=[1.0, 3.0]))
    main(stage)
    with open("plots/sweep.csv") as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["scheduler"], r["guidance"]) for r in rows] == [("ddim", "3"), ("flow-match", "3"), ("ddim", "1")]
    assert "seconds" not in ",".join(rows[0])
    for row in (rows[0], rows[2]):
        key = f"zoo_ddim_s5_g{row['guidance']}"
        for score in ("digit_accuracy", "photo_accuracy", "both_accuracy", "kid"):
            assert float(row[score]) == pytest.approx(stage.metrics[f"{key}_{score}"], rel=1e-4)
    assert rows[1]["refused"].startswith("flow-match: the model was not trained on straight paths")
    assert "zoo, flow-match, 5 steps, guidance 3: refused, flow-match" in capsys.readouterr().out
    assert {k: stage.metrics[k] for k in ("n", "cells", "refused")} == {"n": 4, "cells": 3, "refused": 1}
    title_lines = 3
    assert Image.open("plots/sweep.png").size[1] == 2 + title_lines * 14 + 2 * 66
    json.dumps(stage.metrics, allow_nan=False)


def test_a_stopped_sweep_keeps_its_cells(here, monkeypatch):
    from stages.captioning.sweep import main

    main(sweeping(steps=axes(num_inference_steps=[1, 2, 3])))
    expected = sha256_file("plots")
    shutil.rmtree("scratch")
    calls = stop_in_the_third_batch(monkeypatch)
    with pytest.raises(Interrupted):
        main(sweeping(steps=axes(num_inference_steps=[1, 2, 3])))
    main(sweeping(steps=axes(num_inference_steps=[1, 2, 3])))
    assert len(calls) == 4
    assert sha256_file("plots") == expected

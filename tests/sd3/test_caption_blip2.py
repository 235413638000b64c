"""The table of BLIP-2's captions: its metrics, and the stage in one process or two, at once or after a kill."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from stages.sd3 import caption_blip2

from difflab.core.base.errors import Interrupted
from difflab.core.base.files import png_bytes
from difflab.core.base.store.captions import read_captions
from difflab.core.params.common import HubRef
from difflab.images.facts.celeba_facts import CELEBA
from difflab.images.preparing.store_writer import Sample, write_store
from difflab.miniature.data import blend
from difflab.models import blip2
from difflab.models.pointers import write_pointer
from difflab.sd3.params import Blip2CaptionParams
from fakes.processes import launch
from fakes.running_stage import RunningStage
from fakes.tiny_blip2 import GREEDY, save_blip2


@pytest.fixture(scope="module")
def t5_folder(tmp_path_factory):
    return save_blip2(tmp_path_factory.mktemp("zoo") / "blip2")


def test_captions_are_counted():
    captions = dict(zip("abcd", ["a three", "a three", "", "a very long caption"], strict=True))
    metrics = caption_blip2.metrics(captions, pd.DataFrame(True, list("abcd"), CELEBA.columns), {"val": ["a"]}, 10)
    assert metrics == {"n": 4, "n_unique": 3, "n_empty": 1, "n_long": 1, "mean_words": 2.0}


def test_class_accuracy_is_the_share_per_split():
    rows = {"a": {"Digit_3", "Photo_Cat"}, "b": {"Digit_4", "Photo_Coffee"}, "c": {"Digit_5", "Photo_Coffee"}}
    attributes = pd.DataFrame({i: {name: name in row for name in blend.ATTRIBUTES} for i, row in rows.items()}).T
    captions = {
        "c": "a handwritten five over a photo of a rocket",
        "a": "a handwritten three over a photo of a cat",
        "b": "a handwritten nine over a photo of coffee",
    }
    metrics = caption_blip2.metrics(captions, attributes, {"val": ["a", "b"], "test": ["c"], "train": []}, 100)
    assert (metrics["digit_accuracy_val"], metrics["photo_accuracy_val"], metrics["n_val"]) == (0.5, 1, 2)
    assert (metrics["digit_accuracy_test"], metrics["photo_accuracy_test"], metrics["n_test"]) == (1, 0, 1)
    assert "n_train" not in metrics


def make_workspace(folder, t5_folder):
    """Two small stores and the model, where the stage looks for them."""
    for name, start, count, split in (("celeba_hq", 0, 30, ("train", "val", "test")), ("celeba", 100, 9, ("train",))):
        prefix = "hq-" if name == "celeba_hq" else "celeba-"
        composites = blend.batch(np.arange(start, start + count), 0, "test", 0).composites
        ids = [f"{prefix}{i:05d}" for i in range(count)]
        images = [png_bytes(Image.fromarray(composite.image)) for composite in composites]
        samples = [Sample(id, f"{id}.png", image, 32, 32) for id, image in zip(ids, images, strict=True)]
        table = pd.DataFrame([composite.attributes for composite in composites], index=ids)
        table = table.assign(file="", split=[split[i % len(split)] for i in range(count)])
        write_store(folder / "data" / name, samples, table, keep_absent=True)
    hub = HubRef(repo_id=str(t5_folder), revision=None, subfolder=None, allow_patterns=None)
    write_pointer(folder / "models" / "zoo" / "blip2", hub)
    return folder


def running_stage(folder):
    settings = Blip2CaptionParams(**GREEDY.model_dump() | {"batch_size": 1}, long_caption=100)
    return RunningStage(folder, caption=SimpleNamespace(blip2=settings))


def test_the_stage_captions_every_image_of_both_stores(t5_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(make_workspace(tmp_path, t5_folder))
    stage = running_stage(tmp_path)
    caption_blip2.main(stage)
    frame = read_captions("data/captions/blip2.parquet")
    assert frame["id"].tolist() == sorted([f"hq-{i:05d}" for i in range(30)] + [f"celeba-{i:05d}" for i in range(9)])
    assert (frame["variant"] == "blip2").all()
    hashes = pd.concat([pd.read_parquet(f"data/{name}/index.parquet") for name in ("celeba_hq", "celeba")])
    assert frame.set_index("id")["source_sha256"].to_dict() == hashes.set_index("id")["sha256"].to_dict()
    assert stage.metrics["n"] == 39
    assert (stage.metrics["n_held_out"], stage.metrics["n_celeba"]) == (20, 9)


def test_killed_and_run_again_it_writes_the_same_file(t5_folder, tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    monkeypatch.chdir(make_workspace(tmp_path / "whole", t5_folder))
    caption_blip2.main(running_stage(tmp_path / "whole"))
    expected = (tmp_path / "whole/data/captions/blip2.parquet").read_bytes()

    (tmp_path / "killed").mkdir()
    monkeypatch.chdir(make_workspace(tmp_path / "killed", t5_folder))
    calls, original = [], blip2.Blip2Captioner.__call__

    def die_at_the_20th(self, *args):
        calls.append(1)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(blip2.Blip2Captioner, "__call__", die_at_the_20th)
    with pytest.raises(Interrupted):
        caption_blip2.main(running_stage(tmp_path / "killed"))
    assert not (tmp_path / "killed/data/captions").exists()
    caption_blip2.main(running_stage(tmp_path / "killed"))
    assert (tmp_path / "killed/data/captions/blip2.parquet").read_bytes() == expected
    assert len(calls) < 20 + 39  # what was finished was not done again


@pytest.mark.slow
def test_two_processes_write_the_file_of_one(t5_folder, tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    monkeypatch.chdir(make_workspace(tmp_path / "one", t5_folder))
    caption_blip2.main(running_stage(tmp_path / "one"))

    two = make_workspace(tmp_path / "two", t5_folder)
    worker = tmp_path / "worker.py"
    worker.write_text(
        "from pathlib import Path\n"
        "from sd3.test_caption_blip2 import running_stage\n"
        "from stages.sd3.caption_blip2 import main\n"
        "main(running_stage(Path.cwd()))\n"
    )
    launch(worker, processes=2, cwd=two)
    chunks = list((two / "scratch").rglob("*.parquet"))
    assert len(chunks) == 5  # 39 images in chunks of eight, of both processes
    written = [tmp_path / name / "data/captions/blip2.parquet" for name in ("one", "two")]
    assert written[0].read_bytes() == written[1].read_bytes()

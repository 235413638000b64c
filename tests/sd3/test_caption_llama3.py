"""The table of detailed captions: what they keep, and the stage that resumes after a kill."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from stages.sd3.caption_llama3 import BATCHES_PER_CHUNK, main, metrics

from difflab.core.base.errors import Interrupted
from difflab.core.base.files import png_bytes
from difflab.core.base.store.captions import COLUMNS, read_captions, write_captions
from difflab.core.base.store.image_store import ImageStore
from difflab.images.facts.celeba_facts import CELEBA
from difflab.images.preparing.store_writer import Sample, write_store
from difflab.miniature.data.blend import ATTRIBUTES, plain
from difflab.miniature.data.templates import detailed_caption
from difflab.miniature.data.vocabulary import MINIATURE
from difflab.models.language.rewriter import Request, Rewriter
from difflab.sd3.params import Llama3CaptionParams
from fakes.running_stage import RunningStage
from fakes.tiny_rewriter import save_llama, settings


def row(*true: str) -> dict[str, bool]:
    return {name: name in true for name in ATTRIBUTES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_llama(tmp_path_factory.mktemp("zoo") / "llama")


def test_metrics_of_a_worked_example():
    attributes = {
        "a": row("Digit_1", "Photo_Cat", "Thick"),
        "b": row("Digit_2", "Photo_Cat", "Thick", "Thin"),  # contradicts itself: neither stroke is told
        "c": row("Digit_3", "Photo_Cat"),
    }
    captions = [
        detailed_caption(attributes["a"]),  # 3 of 3
        "A handwritten two over a photo of a dog.",  # 1 of 2
        "A handwritten eight over a photo of a cat.",  # 1 of 2
    ]
    frame = pd.DataFrame({"id": list("abc"), "caption": captions, "truncated": [False, True, False]})
    values = metrics(frame, attributes, "drop")
    assert {k: v for k, v in values.items() if not k.startswith("contradictory_")} == {
        "n": 3,
        "n_unique": 3,
        "facts": 7,
        "facts_kept": pytest.approx(5 / 7),
        "captions_complete": pytest.approx(1 / 3),
        "digit_kept": pytest.approx(2 / 3),
        "photo_kept": pytest.approx(2 / 3),
        "truncated": 1,
        "contradictory": 1,
    }
    assert values["contradictory_thick_and_thin"] == 1
    assert values["contradictory_large_and_small"] == 0


def test_faces_have_no_classes_to_keep():
    attributes = {name: name in ("Male", "No_Beard") for name in CELEBA.columns}
    frame = pd.DataFrame({"id": ["a"], "caption": ["A man."], "truncated": [False]})
    values = metrics(frame, {"a": attributes}, "keep")
    assert values["facts_kept"] == 1
    assert [name for name in values if name.endswith("_kept")] == ["facts_kept"]


def test_pictures_without_facts_have_no_share_of_them():
    frame = pd.DataFrame({"id": ["a"], "caption": ["A man."], "truncated": [False]})
    values = metrics(frame, {"a": {}}, "keep")
    assert values["facts"] == 0
    assert not {"facts_kept", "captions_complete"}.intersection(values)


def make_workspace(folder, llama_folder, count: int) -> None:
    """Two image stores of miniature pictures, their short captions, and the model."""
    rows = []
    for name, prefix, split in (("celeba_hq", "hq", "val"), ("celeba", "celeba", "train")):
        indices = range(len(rows), len(rows) + count)
        pictures = [plain(i, np.random.default_rng(i)) for i in indices]
        ids = [f"{prefix}-{i:05d}" for i in indices]
        images = [png_bytes(Image.fromarray(p.image)) for p in pictures]
        samples = [Sample(id, "", image, 32, 32) for id, image in zip(ids, images, strict=True)]
        table = pd.DataFrame([p.attributes for p in pictures], index=ids).assign(file="", split=split)
        index = write_store(folder / "data" / name, samples, table, keep_absent=True)
        rows += [
            (row.id, "blip2", "a handwritten one over a plain background", row.sha256) for row in index.itertuples()
        ]
    write_captions(folder / "data/captions/blip2.parquet", pd.DataFrame(rows, columns=list(COLUMNS)))
    shutil.copytree(llama_folder, folder / "models/zoo/llama")


def running_stage(folder):
    caption = Llama3CaptionParams(**settings(batch_size=1).model_dump(), subjective="drop")
    return RunningStage(folder, caption=SimpleNamespace(llama3=caption))


def test_the_stage_rewrites_every_short_caption_and_resumes_after_a_kill(folder, tmp_path, monkeypatch):
    count = BATCHES_PER_CHUNK  # in each of two stores: two chunks
    for name in ("whole", "killed"):
        make_workspace(tmp_path / name, folder, count)
    monkeypatch.chdir(tmp_path / "whole")
    stage = running_stage(tmp_path / "whole")
    main(stage)
    frame = read_captions("data/captions/llama3.parquet", "llama3")
    assert frame.index.tolist() == read_captions("data/captions/blip2.parquet")["id"].tolist()
    assert stage.metrics["n"] == 2 * count
    first = frame.index[0]
    row = ImageStore("data/celeba").attributes.loc[first].to_dict()
    asked = Request(first, "a handwritten one over a plain background", tuple(MINIATURE.sentences(row, "drop")))
    assert frame.loc[first, "source_sha256"] == asked.sha256
    expected = Path("data/captions/llama3.parquet").read_bytes()

    monkeypatch.chdir(tmp_path / "killed")
    calls, original = [], Rewriter._answer

    def die_in_the_second_chunk(self, *args):
        calls.append(1)
        if len(calls) == count + 3:
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(Rewriter, "_answer", die_in_the_second_chunk)
    with pytest.raises(Interrupted):
        main(running_stage(tmp_path / "killed"))
    assert not Path("data/captions/llama3.parquet").exists()
    main(running_stage(tmp_path / "killed"))
    assert len(calls) == count + 3 + count  # the first chunk was kept
    assert Path("data/captions/llama3.parquet").read_bytes() == expected

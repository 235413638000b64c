"""Exporting a prepared set: an image folder that reads back, with captions or class names, never over other files."""

import json

import pandas as pd
import pytest

from difflab.cli.image_export import export
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_file
from difflab.core.base.store.captions import write_captions
from difflab.core.base.store.image_store import ImageStore
from difflab.images.archives.opening import open_archive
from difflab.images.preparing.store_writer import Sample, write_store
from difflab.images.sets.formats import image_folder
from fakes.set_archives import encoded

IDS = ["coco-test-00000", "coco-train-00000", "coco-train-00001"]
SPLITS = ["test", "train", "train"]


@pytest.fixture
def sets(tmp_path):
    """data/images with coco (captions of the first two images), cifar10 (classes) and scenes (neither)."""
    root = tmp_path / "images"
    for name, classes in (("coco", {}), ("cifar10", {"cat": [True, False, False], "dog": [False, True, True]}),
                          ("scenes", {})):  # fmt: skip
        table = pd.DataFrame({"file": IDS, "split": SPLITS} | classes, index=pd.Index(IDS, name="id"))
        samples = [Sample(id, id, encoded(8, 8, seed=n), 8, 8) for n, id in enumerate(IDS)]
        write_store(root / name, samples, table, keep_absent=False)
    rows = [(IDS[0], "human-0", "one"), (IDS[1], "human-0", "two"), (IDS[1], "human-1", "three")]
    frame = pd.DataFrame(rows, columns=["id", "variant", "caption"]).assign(source_sha256="")
    write_captions(root / "coco" / "captions.parquet", frame)
    return root


def test_captions_and_images_read_back(tmp_path, sets):
    assert export("coco", tmp_path / "out", sets) == 3
    archive = open_archive(tmp_path / "out")
    splits = image_folder.read(archive)
    assert [image.captions for image in splits["train"]] == [("two", "three"), ()]
    assert [image.captions for image in splits["test"]] == [("one",)]
    contents = ImageStore(sets / "coco").read_bytes(IDS[1:])
    assert [archive.read(image.file) for image in splits["train"]] == contents


@pytest.mark.parametrize(("dataset", "texts"), [("cifar10", ["dog", "dog"]), ("scenes", ["", ""])])
def test_without_captions_the_text_is_the_class_or_empty(tmp_path, sets, dataset, texts):
    export(dataset, tmp_path / "out", sets)
    lines = (tmp_path / "out" / "train" / "metadata.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"file_name": f"{id}.png", "text": text} for id, text in zip(IDS[1:], texts, strict=True)
    ]


def test_a_folder_with_files_is_left_alone(tmp_path, sets):
    (tmp_path / "out").mkdir()
    export("coco", tmp_path / "out", sets)  # an empty one may be there
    before = sha256_file(tmp_path / "out")
    with pytest.raises(DifflabError, match="is not empty: name a folder"):
        export("coco", tmp_path / "out", sets)
    with pytest.raises(DifflabError, match="is a file: name a folder"):
        export("coco", tmp_path / "out" / "train" / "metadata.jsonl", sets)
    assert sha256_file(tmp_path / "out") == before


def test_the_files_are_the_same_every_time(tmp_path, sets):
    for name in "ab":
        export("coco", tmp_path / name, sets)
    assert sha256_file(tmp_path / "a") == sha256_file(tmp_path / "b")


def test_an_unknown_or_unprepared_set_is_one_line(tmp_path, sets):
    with pytest.raises(DifflabError, match="no image set 'faces', only cifar10, mnist, scenes, coco, recipes"):
        export("faces", tmp_path / "out", sets)
    with pytest.raises(DifflabError, match="is missing: run `dvc repro`"):
        export("mnist", tmp_path / "out", sets)
    assert not (tmp_path / "out").exists()


def test_the_command_writes_the_folder(tmp_path, sets, root, monkeypatch):
    from click.testing import CliRunner

    from difflab.cli.main import cli

    (tmp_path / "data").mkdir()
    sets.rename(tmp_path / "data" / "images")
    for name in ("dvc.yaml", "conf"):
        (tmp_path / name).symlink_to(root / name)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["images", "export", "coco", "out"])
    assert (result.exit_code, result.output) == (0, "wrote out, 3 images\n")
    assert (tmp_path / "out" / "test" / "metadata.jsonl").exists()

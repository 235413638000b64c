"""Damage of any kind to any file that is read ends in one line, never in another exception."""

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from difflab.core.base.files import read_json, read_parquet, read_tensor_facts, read_tensors, write_parquet
from difflab.core.base.store.captions import read_captions, write_captions
from difflab.core.base.store.decoder import decode_image, image_size
from difflab.core.base.store.image_store import ImageStore
from difflab.images.archives.opening import open_archive
from difflab.images.archives.pictures import list_pictures
from difflab.images.celeba import celeba, celeba_hq
from difflab.images.generated.reader import GeneratedImages
from difflab.images.generated.writer import write_generated
from difflab.images.preparing.store_writer import Sample, write_store
from difflab.images.sets.image_sets import read_image_set
from fakes import pictures
from fakes.damage import COUNTS, Case, Reader, check, in_place
from fakes.face_archives import celeba_hq_members, celeba_members, write_members
from fakes.set_archives import (
    cifar10_members,
    coco_members,
    encoded,
    mnist_members,
    pixels,
    recipe_members,
    write_folder,
    write_tar,
)


def _image(path: Path) -> None:
    content = path.read_bytes()
    for function in (image_size, decode_image):
        function(content, path.name)


def _archive(path: Path) -> None:
    archive = open_archive(path)
    for name in archive.names():
        archive.read(name)
    list_pictures(archive)


def _set(name: str) -> Reader:
    return lambda path: read_image_set(name, open_archive(path), 0, 0.2, None)


def _store(path: Path) -> None:
    store = ImageStore(path)
    store.read(store.ids)


def _generated(path: Path) -> None:
    images = GeneratedImages(path)
    for seed in images.seeds:
        list(images.read(seed))


def _picture_files() -> dict[str, bytes]:
    forms = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000", "ICO", "QOI")
    files = {form: encoded(12, 9, form=form) for form in forms}
    files["turned"] = pictures.turned(pictures.smooth(), 6, "JPEG", "both")
    files["turned png"] = pictures.turned(pictures.smooth(), 6, "PNG", "both")
    files["wide"] = pictures.saved(pictures.smooth(), icc_profile=pictures.icc_profile())
    files["grey"] = pictures.grey_png(np.arange(64).reshape(8, 8) * 1000, 16, 5000)
    files["packed tiff"] = encoded(12, 9, form="TIFF", compression="tiff_lzw")
    return files


def _cases(place: Path) -> dict[str, list[Case]]:
    """Whole files by kind, each with what reads it."""
    place.mkdir()
    save_file({"a": torch.arange(6.0), "b": torch.ones(2, 2)}, place / "t.safetensors", metadata={"facts": "{}"})
    write_parquet(place / "f.parquet", pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    rows = [("a", "human-0", "a cat", "0" * 64)]
    write_captions(place / "c.parquet", pd.DataFrame(rows, columns=["id", "variant", "caption", "source_sha256"]))
    write_generated(place / "g.zip", ["a", "b"], {0: pixels(2, 8, 8, 3)})
    folder = place.parent / "folder"
    table = pd.DataFrame({"file": ["a.png"], "split": ["train"]}, index=pd.Index(["a"], name="id"))
    write_store(folder, [Sample("a", "a.png", encoded(8, 8), 8, 8)], table, keep_absent=False)
    write_folder(folder, {f"{kind}/a.png": encoded(8, 8) for kind in ("jsonl", "csv", "texts", "parquet")})
    (folder / "jsonl/metadata.jsonl").write_text('{"file_name": "a.png", "text": "x"}\n\n')
    (folder / "csv/metadata.csv").write_text('file_name,text\na.png,"x, y"\n')
    (folder / "texts/a.txt").write_text("a caption\nanother\n")
    write_parquet(folder / "parquet/metadata.parquet", pd.DataFrame({"file_name": ["a.png"], "text": ["x"]}))
    zipped = {"a.png": encoded(8, 8), "b/c.txt": b"text" * 50}
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(place / f"{method}.zip", "w", method) as archive:
            for name, content in zipped.items():
                archive.writestr(name, content)
    packed = write_tar(place / "a.tar.gz", zipped).read_bytes()
    faces = {"hq": celeba_hq_members({}, 3), "celeba": celeba_members({}, 3, {})}
    faces = {kind: {n: c if isinstance(c, bytes) else c.encode() for n, c in m.items()} for kind, m in faces.items()}

    def table_of(kind: str, ending: str) -> bytes:
        return next(content for name, content in faces[kind].items() if name.endswith(ending))

    def faces_of(ending: str, read: Callable) -> Reader:
        def reader(path: Path) -> None:
            read(open_archive(write_members(path.parent / "faces.zip", {ending: path.read_bytes()})))

        return reader

    sets = {"cifar10": cifar10_members(1), "mnist": mnist_members(3, 2), "coco": coco_members({1: ["A."], 2: ["B."]})}
    sets["recipes"] = recipe_members({"egg": "Egg", "pie": "Pie"})
    return {
        "pictures": [(content, _image) for content in _picture_files().values()],
        "archives": [((place / f"{m}.zip").read_bytes(), _archive) for m in (0, 8, 12, 14)]
        + [(packed, _archive), (gzip.decompress(packed), _archive)],
        "sets": [
            (write_members(place / f"{name}.zip", members).read_bytes(), _set(name)) for name, members in sets.items()
        ],
        "tables": [
            in_place(folder / "jsonl/metadata.jsonl", lambda: _set("coco")(folder / "jsonl")),
            in_place(folder / "csv/metadata.csv", lambda: _set("coco")(folder / "csv")),
            in_place(folder / "texts/a.txt", lambda: _set("coco")(folder / "texts")),
            in_place(folder / "parquet/metadata.parquet", lambda: _set("coco")(folder / "parquet")),
            (table_of("hq", "attribute-anno.txt"), faces_of("CelebAMask-HQ-attribute-anno.txt", celeba_hq.read_table)),
            (table_of("celeba", "bbox_celeba.txt"), faces_of("Anno/list_bbox_celeba.txt", celeba.read_boxes)),
        ],
        "results": [
            ((place / "t.safetensors").read_bytes(), lambda path: (read_tensors(path), read_tensor_facts(path))),
            ((place / "f.parquet").read_bytes(), read_parquet),
            ((place / "c.parquet").read_bytes(), read_captions),
            (b'{"a": [1, 2.5, null], "b": "text"}', read_json),
            ((place / "g.zip").read_bytes(), _generated),
            in_place(folder / "images/part-00000.parquet", lambda: _store(folder)),
            in_place(folder / "index.parquet", lambda: _store(folder)),
        ],
    }


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("kind", ["pictures", "archives", "sets", "tables", "results"])
def test_damage_is_one_line(tmp_path, kind, count):
    check(kind, _cases(tmp_path / "whole")[kind], count, tmp_path)

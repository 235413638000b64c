"""Synthetic pictures: titles are read strictly, pictures are stored by id with their titles, and join them all."""

import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from difflab.captioning.synthetic_images import SEED, write_synthetic
from difflab.core.base.files import sha256_bytes, sha256_file
from difflab.core.base.store.captions import read_captions
from difflab.core.base.store.image_store import ImageStore
from difflab.images.generated.writer import write_generated
from difflab.models.pipelines.prompted import Options, PromptedSampler
from fakes import tiny_pipelines

TITLES = {f"recipes-train-{n:012d}-v{v}": f"Three over {n} cats, {v}" for n in range(3) for v in range(2)}
OPTIONS = Options("ddim", 2, 2.0, "blurred")


@pytest.fixture(scope="module")
def sampler():
    return PromptedSampler(tiny_pipelines.pipeline("sd"), distilled=False, seed=0, batch_size=2)


@pytest.fixture(scope="module")
def parts(sampler, tmp_path_factory):
    folder, ids = tmp_path_factory.mktemp("parts"), list(TITLES)
    paths = [folder / f"{n}.zip" for n in range(2)]
    for n, path in enumerate(paths):
        own = ids[3 * n : 3 * n + 3]
        batches = sampler.images(own, [TITLES[id] for id in own], OPTIONS)
        write_generated(path, own, {SEED: (image for batch in batches for image in batch)})
    return paths


def test_a_part_holds_the_pictures_of_its_ids(parts, sampler):
    made = np.concatenate(list(sampler.images(list(TITLES), list(TITLES.values()), OPTIONS)))
    with zipfile.ZipFile(parts[1]) as archive:
        assert archive.namelist() == [f"seed-0/{id}.png" for id in list(TITLES)[3:]]
        for name, image in zip(archive.namelist(), made[3:], strict=True):
            stored = np.asarray(Image.open(io.BytesIO(archive.read(name)))).astype(int)
            assert np.abs(stored - image).max() <= 1  # batches of other sizes


def test_pictures_titles_and_export_join_completely(parts, tmp_path):
    write_synthetic(tmp_path / "synthetic", TITLES, parts, None)
    store = ImageStore(tmp_path / "synthetic")
    assert store.ids == list(TITLES)
    assert {image.size for image in store.read(store.ids)} == {(16, 16)}
    captions = read_captions(tmp_path / "synthetic" / "captions.parquet", "synthetic")
    assert captions["caption"].to_dict() == TITLES
    assert captions["source_sha256"].to_dict() == {id: store.sha256(id) for id in store.ids}
    export = pd.read_csv(tmp_path / "synthetic" / "synthetic_captions.csv")
    assert export["Image_Name"].tolist() == store.index["file"].tolist()
    assert [json.loads(title) for title in export["Title"]] == [[title] for title in TITLES.values()]


def test_stored_bytes_are_those_of_the_parts_and_the_same_every_time(parts, tmp_path):
    for name in "ab":
        write_synthetic(tmp_path / name, TITLES, parts, None)
    assert sha256_file(tmp_path / "a") == sha256_file(tmp_path / "b")
    with zipfile.ZipFile(parts[0]) as archive:
        first = archive.read(archive.namelist()[0])
    assert ImageStore(tmp_path / "a").sha256(next(iter(TITLES))) == sha256_bytes(first)


def test_pictures_are_brought_to_the_size_asked_for(parts, tmp_path):
    write_synthetic(tmp_path / "synthetic", TITLES, parts, 8)
    store = ImageStore(tmp_path / "synthetic")
    assert set(zip(store.index["width"], store.index["height"], strict=True)) == {(8, 8)}
    assert store.read(store.ids[:1])[0].size == (8, 8)


def test_a_missing_picture_is_noticed(parts, tmp_path):
    with pytest.raises(ValueError, match="array length 6 does not match index length 3"):
        write_synthetic(tmp_path / "synthetic", TITLES, parts[:1], None)
    assert not (tmp_path / "synthetic").exists()

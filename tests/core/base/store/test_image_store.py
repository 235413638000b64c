"""The image store gives back what was written, by id, however it was cut into shards."""

import io
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_bytes, sha256_file
from difflab.core.base.store.image_store import ImageStore
from difflab.images.preparing.store_writer import Sample, write_store


def png(seed: int, size: int = 4) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def table_of(ids: list[str]) -> pd.DataFrame:
    splits = ["train", "val", "test"]
    columns = {
        "file": [f"{id}.png" for id in ids],
        "split": [splits[n % 3] for n in range(len(ids))],
        "Male": [n % 2 == 0 for n in range(len(ids))],
        "Young": [n % 5 == 0 for n in range(len(ids))],
    }
    return pd.DataFrame(columns, index=pd.Index(ids, name="id"))


def samples_of(ids: list[str]) -> list[Sample]:
    return [Sample(id, f"{id}.png", png(n), 4, 4) for n, id in enumerate(ids)]


COLUMNS = ("id", "split", "present", "file", "sha256", "width", "height")
IDS = [f"hq-{n:05d}" for n in range(30)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sets(st.integers(0, 99_999), min_size=1, max_size=25),
    st.integers(1, 1500),
    st.integers(1, 500),
    st.randoms(use_true_random=False),
)
def test_any_ids_in_any_order_come_back_from_any_shards(tmp_path_factory, numbers, shard_bytes, group_bytes, random):
    ids = [f"hq-{n:05d}" for n in sorted(numbers)]
    samples = samples_of(ids)
    folder = tmp_path_factory.mktemp("shards")
    write_store(folder, samples, table_of(ids), True, shard_bytes=shard_bytes, row_group_bytes=group_bytes)
    store = ImageStore(folder)
    contents = {sample.id: sample.image for sample in samples}
    asked = random.choices(ids, k=40)
    assert store.ids == ids
    assert store.read_bytes(asked) == [contents[id] for id in asked]
    assert all(store.sha256(id) == sha256_bytes(contents[id]) for id in ids)


def test_images_decode_to_rgb(tmp_path):
    write_store(tmp_path, samples_of(IDS), table_of(IDS), True)
    image = ImageStore(tmp_path).read([IDS[7]])[0]
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(image), np.asarray(Image.open(io.BytesIO(png(7)))))


def test_splits_and_attributes_are_by_id(tmp_path):
    write_store(tmp_path, samples_of(IDS), table_of(IDS), True)
    store = ImageStore(tmp_path)
    assert store.split("val") == IDS[1::3]
    assert store.attributes.columns.tolist() == ["Male", "Young"]
    assert store.attributes.loc[IDS[5]].to_dict() == {"Male": False, "Young": True}
    assert store.attributes.dtypes.eq(bool).all()


def test_rows_without_an_image_stay_in_the_table_only(tmp_path):
    write_store(tmp_path, samples_of(IDS)[::2], table_of(IDS), True)
    store = ImageStore(tmp_path)
    assert store.ids == store.index.index.tolist() == IDS[::2]
    assert store.table.index.tolist() == IDS
    assert store.table.loc[IDS[1], ["present", "sha256", "width"]].tolist() == [False, "", 0]
    assert len(store) == len(store.attributes) == 15
    with pytest.raises(DifflabError, match="has no image 'hq-00001'"):
        store.read([IDS[1]])

    write_store(tmp_path, samples_of(IDS)[::2], table_of(IDS), False)
    assert ImageStore(tmp_path).table.index.tolist() == IDS[::2]


def test_the_files_have_the_documented_columns(tmp_path):
    write_store(tmp_path, samples_of(IDS), table_of(IDS), True)
    index = pd.read_parquet(tmp_path / "index.parquet")
    images = pd.read_parquet(tmp_path / "images" / "part-00000.parquet")
    assert tuple(index.columns) == (*COLUMNS, "Male", "Young")
    assert images.columns.tolist() == ["id", "split", "source", "sha256", "image"]
    assert images["id"].tolist() == IDS
    assert images["sha256"].tolist() == [sha256_bytes(content) for content in images["image"]]


def test_the_bytes_are_the_same_every_time(tmp_path):
    for name in "ab":
        write_store(tmp_path / name, samples_of(IDS), table_of(IDS), True)
    assert sha256_file(tmp_path / "a") == sha256_file(tmp_path / "b")


def test_shards_stay_below_their_limit(tmp_path):
    samples = [Sample(id, "", os.urandom(1000), 1, 1) for id in IDS]
    write_store(tmp_path, samples, table_of(IDS), True, shard_bytes=4000, row_group_bytes=1000)
    shards = sorted((tmp_path / "images").iterdir())
    assert len(shards) == 8
    assert sum(len(pd.read_parquet(shard)) for shard in shards) == 30


@pytest.mark.parametrize("ids", [["hq-00002", "hq-00001"], ["hq-00001", "hq-00001"]])
def test_ids_must_ascend(tmp_path, ids):
    with pytest.raises(DifflabError, match="unique and ascending"):
        write_store(tmp_path, samples_of(ids), table_of(sorted(set(ids))), True)


def test_a_missing_store_says_what_to_run(tmp_path):
    with pytest.raises(DifflabError, match="dvc repro"):
        ImageStore(tmp_path)


def test_shards_and_index_must_agree(tmp_path):
    write_store(tmp_path, samples_of(IDS), table_of(IDS), True)
    write_store(tmp_path / "one", samples_of(IDS[:1]), table_of(IDS), True)
    shutil.copytree(tmp_path / "one" / "images", tmp_path / "images", dirs_exist_ok=True)
    with pytest.raises(DifflabError, match="holds 1 images, its index 30"):
        ImageStore(tmp_path).read([IDS[0]])


def test_a_damaged_shard_is_refused(tmp_path):
    write_store(tmp_path, samples_of(IDS), table_of(IDS), True)
    path = tmp_path / "images" / "part-00000.parquet"
    content = bytearray(path.read_bytes())
    content[content.index(png(3)) + 50] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DifflabError, match=r"^unreadable: .*part-00000\.parquet \("):
        ImageStore(tmp_path).read_bytes([IDS[3]])


def test_a_shard_whose_column_has_lost_its_name_is_one_line(tmp_path):
    write_store(tmp_path, samples_of(IDS), table_of(IDS), True)
    store, shard = ImageStore(tmp_path), tmp_path / "images" / "part-00000.parquet"
    content = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(content[:4] + content[4:].replace(b"image", b"imbge"))
    with pytest.raises(DifflabError, match=r"^unreadable: .*part-00000\.parquet"):
        store.read_bytes(IDS[:1])

"""The mixed data set: rows by split and training set, with the images of both stores in the order asked for."""

import pytest

from difflab.captioning import mixed_set
from difflab.captioning.mixed_set import MixedSet
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_bytes
from difflab.core.base.store.captions import read_captions
from fakes.mixed_sets import content, write_mixed


@pytest.mark.parametrize(
    ("split", "data", "ids"),
    [
        ("train", "original", ["a", "d"]),
        ("train", "synthetic", ["a-v0", "a-v1"]),
        ("train", "mixed", ["a", "d", "a-v0", "a-v1"]),
        ("val", "mixed", ["c", "c-v0"]),
        ("test", "mixed", ["b"]),
    ],
)
def test_a_training_set_is_the_rows_of_its_sources(tmp_path, split, data, ids):
    assert MixedSet(write_mixed(tmp_path)).part(split, data)["id"].tolist() == ids


def test_images_and_hashes_come_in_the_order_of_the_rows_whatever_their_store(tmp_path, monkeypatch):
    monkeypatch.setattr(mixed_set, "_TOGETHER", 3)
    data = MixedSet(write_mixed(tmp_path))
    rows = data.rows.set_index("id").loc[["a-v1", "d", "a", "c-v0", "b"]].reset_index()
    chunks = list(data.images(rows))
    assert [len(chunk) for chunk in chunks] == [3, 2]
    assert [image.getpixel((0, 0))[0] for chunk in chunks for image in chunk] == [60, 40, 10, 70, 20]
    data.write_captions(tmp_path / "captions.parquet", rows, {"seed-7": list("abcde")})
    table = read_captions(tmp_path / "captions.parquet", "seed-7").loc[rows["id"]]
    assert table["caption"].tolist() == list("abcde")
    assert table["source_sha256"].tolist() == [sha256_bytes(content(level)) for level in (60, 40, 10, 70, 20)]


def test_an_empty_part_is_one_line(tmp_path):
    data = MixedSet(write_mixed(tmp_path, {"a": "train", "c-v0": "val"}))
    with pytest.raises(DifflabError, match="data/mixed has no synthetic row in train: run `dvc repro mix`"):
        data.part("train", "synthetic")
    with pytest.raises(DifflabError, match="no original or synthetic row in test"):
        data.part("test")


def test_before_the_mixing_the_stage_is_named(tmp_path):
    with pytest.raises(DifflabError, match=r"rows\.parquet is missing: run `dvc repro mix`"):
        MixedSet(tmp_path)


def test_a_row_without_its_image_is_one_line(tmp_path):
    data = MixedSet(write_mixed(tmp_path, {"a": "train", "e": "train"}))
    with pytest.raises(DifflabError, match="has no image 'e'"):
        list(data.images(data.part("train")))

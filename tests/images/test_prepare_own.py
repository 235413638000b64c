"""The stages of the data with a person's own pictures in the place of CelebA-HQ."""

from types import SimpleNamespace

import pytest

from difflab.core.base.files import read_json, write_json
from difflab.core.base.store.captions import read_captions
from difflab.core.base.store.image_store import ImageStore
from difflab.images.archives.acquire import acquire
from difflab.images.params import ArchiveParams
from fakes.face_archives import prepare_params
from images.test_own_pictures import SIDE, encoded, numbered, split_params, table, write


class Stage:
    """What the scripts use of `Stage`."""

    def __init__(self) -> None:
        prepare = prepare_params(min_side=SIDE, unreadable_images="skip")
        self.params = SimpleNamespace(data=SimpleNamespace(data_root=None), split=split_params(), prepare=prepare)
        self.said = ""

    def write_metrics(self, path, metrics) -> None:
        write_json(path, metrics)

    def done(self, message: str) -> None:
        self.said = message


@pytest.fixture
def prepared(tmp_path, root, monkeypatch, capfd):
    """Own pictures acquired and prepared; gives the words of both stages."""
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    files = numbered(20)
    files["near.PNG"] = encoded(0)  # the same pixels, before they became a JPEG
    files |= {"some pictures/IMG 0002.txt": "a caption", "broken.jpg": b"\xff\xd8\xff"}
    rows = [{"file_name": "near.PNG", "split": "test", "outdoors": True, "stars": 3}]
    for split, numbers in (("test", range(16, 19)), ("val", range(10, 14))):
        rows += [{"file_name": f"some pictures/IMG {n:04d}.JPG", "split": split} for n in numbers]
    files["metadata.jsonl"] = table(*rows)
    write(tmp_path / "my pictures", files)
    settings = ArchiveParams(source="own", path="my pictures", url=None, sha256=None)
    said = acquire(
        "celeba_hq", tmp_path / "data/raw/celeba_hq", settings, None, lambda path: None, tmp_path / "scratch"
    )
    from stages.images import prepare_celeba, prepare_celeba_hq

    stages = Stage(), Stage()
    prepare_celeba_hq.main(stages[0])
    prepare_celeba.main(stages[1])
    return [said, *(stage.said for stage in stages), capfd.readouterr().out]


def test_the_pictures_stay_where_they_are_and_are_stored_as_squares(prepared, tmp_path):
    assert prepared[0] == f"celeba_hq from own ({(tmp_path / 'my pictures').as_posix()})"
    assert "wrote data/celeba_hq, 21 images of 22 rows (0 absent, 1 unreadable)" in prepared[1]
    store = ImageStore("data/celeba_hq")
    assert {image.size for image in store.read(store.ids)} == {(SIDE, SIDE)}
    assert list(store.attributes.columns) == ["outdoors"]
    assert not list((tmp_path / "data/raw/celeba_hq").glob("*.zip"))


def test_captions_that_came_with_them_lie_beside_them(prepared):
    (row,) = read_captions("data/celeba_hq/captions.parquet").itertuples()
    assert (row.variant, row.caption) == ("own", "a caption")
    assert row.source_sha256 == ImageStore("data/celeba_hq").sha256(row.id)


def test_twins_across_splits_are_named_by_their_files_and_so_is_what_is_left_out(prepared):
    said = prepared[3]
    assert "1 held-out images look like one to train on: near.PNG like some pictures/IMG 0000.JPG" in said
    assert "unreadable image: broken.jpg" in said
    assert "neither captions, group, split nor true and false: stars" in said
    assert "1 of 21 pictures came with captions, 0 with a group" in said
    assert "class accuracies are left out" in said
    metrics = read_json("metrics/prepare_celeba_hq.json")
    assert {name: metrics[name] for name in ("rows", "present", "unreadable", "captioned", "near_twins")} == {
        "rows": 22, "present": 21, "unreadable": 1, "captioned": 1, "near_twins": 1,
    }  # fmt: skip


def test_nothing_is_added_to_them(prepared):
    store, own = ImageStore("data/celeba"), ImageStore("data/celeba_hq")
    assert (len(store), store.split("train"), store.ids) == (0, [], [])
    assert list(store.table.columns) == list(own.table.columns)
    assert "nothing is added" in prepared[2]

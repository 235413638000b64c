"""A folder as people have them: which pictures there are, what comes with them, and a split that nothing leaks through."""

import io
import json
import re
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from difflab.core.base.errors import DifflabError
from difflab.core.base.store.captions import read_captions, write_captions
from difflab.core.base.store.split import SPLITS
from difflab.images import own_pictures
from difflab.images.archives.acquire import find_own
from difflab.images.archives.opening import open_archive
from difflab.images.own_pictures import LEAST, OwnPictures
from difflab.images.params import SplitParams, StratifyParams
from difflab.images.preparing.samples import Skipped
from difflab.images.preparing.store_writer import write_store
from fakes.face_archives import prepare_params
from fakes.set_archives import coco_members

SIDE = 16


def split_params(**changes) -> SplitParams:
    values = dict(
        val_fraction=0.2, test_fraction=0.2, seed=0, stratify=StratifyParams(miniature=(), celeba=()), max_rows=None
    )
    return SplitParams(**{**values, **changes})


def encoded(seed: int, size=(24, 20), kind="PNG", orientation: int | None = None) -> bytes:
    small = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    exif, buffer = Image.Exif(), io.BytesIO()
    if orientation:
        exif[0x0112] = orientation
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(buffer, kind, exif=exif)
    return buffer.getvalue()


def write(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def numbered(count: int, start: int = 0) -> dict[str, bytes | str]:
    return {f"some pictures/IMG {n:04d}.JPG": encoded(n, kind="JPEG") for n in range(start, start + count)}


def table(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def read(folder: Path, **settings):
    """(pictures, the index of what is stored of them, the archive, what was skipped)."""
    archive, skipped = open_archive(folder), Skipped()
    pictures = own_pictures.read(archive)
    split = own_pictures.split_pictures(archive, pictures, pictures.table, split_params(**settings), SIDE)
    prepare = prepare_params(min_side=SIDE, unreadable_images="skip")
    samples = own_pictures.samples(archive, pictures.table, prepare, skipped)
    store = folder.with_name("store")
    index = write_store(store, samples, pictures.table.assign(split=split), keep_absent=False)
    return pictures, index, archive, skipped


def ids_by_file(pictures: OwnPictures) -> dict[str, str]:
    return {file: id for id, file in pictures.table["file"].items()}


def test_an_awkward_folder_gives_what_can_be_used_and_lists_the_rest(tmp_path):
    folder = write(tmp_path / "my pictures", {
        **numbered(16),
        "äöü/フォト.webp": encoded(100, kind="WEBP"), "a.png": encoded(101), "other/a.png": encoded(102),
        "no ending": encoded(103), "broken.jpg": b"\xff\xd8\xff and nothing", "small.png": encoded(104, size=(8, 8)),
        "clip.mp4": b"0000", "notes.txt": "a list", ".DS_Store": b"0", "setup.exe": b"MZ",
    })  # fmt: skip
    pictures, index, archive, skipped = read(folder)
    assert set(index["file"]) == {*numbered(16), "äöü/フォト.webp", "a.png", "other/a.png", "no ending"}
    assert (skipped.unreadable, skipped.small) == (["broken.jpg"], ["small.png"])
    assert archive.passed_over["no picture"] == ["clip.mp4", "notes.txt", "setup.exe"]
    assert (index["width"] == SIDE).all()
    assert (index["height"] == SIDE).all()
    assert pictures.captions == {}


def test_a_picture_is_turned_as_its_camera_noted_before_it_is_cropped(tmp_path):
    from difflab.core.base.store.image_store import ImageStore

    upright = Image.open(io.BytesIO(encoded(0, size=(40, 24))))
    _, index, *_ = read(
        write(tmp_path / "in", {"turned.png": encoded(0, size=(40, 24), orientation=6), **numbered(1, 5)})
    )
    (stored,) = ImageStore(tmp_path / "store").read(index.loc[index["file"] == "turned.png", "id"].tolist())
    turned = (
        upright.convert("RGB")
        .rotate(-90, expand=True)
        .crop((0, 8, 24, 32))
        .resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    )
    assert np.array_equal(np.asarray(stored), np.asarray(turned))


def test_captions_come_from_tables_and_from_texts_beside_pictures(tmp_path):
    files = numbered(4)
    rows = [
        {"file_name": "IMG 0000.JPG", "text": " a  dog "},
        {"file_name": "IMG 0000.JPG", "text": "another"},
        {"file_name": "img 0001.jpg", "caption": ""},
        {"file_name": "gone.jpg", "text": "not there"},
    ]
    files |= {"some pictures/metadata.jsonl": table(*rows)}
    files |= {"some pictures/IMG 0001.txt": "from beside it\n\n", "some pictures/IMG 0000.txt": "not used"}
    files |= {"list/metadata.csv": "file_name,captions,text\nb.webp,,über\n", "list/b.webp": encoded(9, kind="WEBP")}
    pictures, _, archive, _ = read(write(tmp_path / "in", files))
    own = {pictures.table["file"][id]: texts for id, texts in pictures.captions.items()}
    assert own == {
        "some pictures/IMG 0000.JPG": ["a dog", "another"],
        "some pictures/IMG 0001.JPG": ["from beside it"],
        "list/b.webp": ["über"],
    }
    assert archive.passed_over == {"said of a picture that is not there": ["some pictures/gone.jpg"]}


def test_captions_of_coco_that_are_not_read_are_passed_over_by_name(tmp_path):
    files = numbered(2) | {"annotations/captions_part.json": "{}"}
    archive = read(write(tmp_path / "in", files))[2]
    assert archive.passed_over == {"no picture": ["annotations/captions_part.json"]}


def test_names_in_another_unicode_form_are_the_same(tmp_path):
    name = unicodedata.normalize("NFD", "café.png")
    rows = table({"file_name": "café.png", "text": "coffee"})
    pictures, *_ = read(write(tmp_path / "in", {name: encoded(1), "metadata.jsonl": rows, **numbered(1)}))
    assert list(pictures.captions.values()) == [["coffee"]]


def test_columns_of_true_and_false_are_attributes(tmp_path):
    rows = [
        {"file_name": "IMG 0000.JPG", "outdoors": True, "snow": "no", "stars": 4, "sha256": "0"},
        {"file_name": "IMG 0001.JPG", "outdoors": 0, "snow": "Yes", "stars": 1},
    ]
    pictures, index, *_ = read(write(tmp_path / "in", numbered(3) | {"some pictures/metadata.jsonl": table(*rows)}))
    named = pictures.table.set_index("file").sort_index()
    assert named["outdoors"].tolist() == [True, False, False]
    assert named["snow"].tolist() == [False, True, False]
    assert pictures.unused == ["stars", "sha256"]
    assert list(index.columns[-2:]) == ["outdoors", "snow"]


def test_cocos_captions_are_read(tmp_path):
    members = {n: c for n, c in coco_members({7: ["A dog."], 9: ["A  bus.", "Bus."]}).items() if n.endswith(".json")}
    (name,) = members
    wanted = json.loads(members[name])["images"]
    files = {f"train2017/{image['file_name']}": encoded(n) for n, image in enumerate(wanted)}
    pictures, *_ = read(write(tmp_path / "in", {**members, **files}))
    assert sorted(pictures.captions.values()) == [["A bus.", "Bus."], ["A dog."]]


def test_every_variant_has_a_caption_of_each_captioned_picture(tmp_path):
    rows = [{"file_name": f"IMG {n:04d}.JPG", "captions": [f"{n} {k}" for k in range(n)]} for n in range(8)]
    pictures, index, *_ = read(write(tmp_path / "in", numbered(8) | {"some pictures/metadata.jsonl": table(*rows)}))
    write_captions(tmp_path / "c.parquet", own_pictures.captions_table(pictures, index))
    found, ids = read_captions(tmp_path / "c.parquet"), ids_by_file(pictures)
    assert set(found["variant"]) == {"own", "own-1", "own-2", "own-3", "own-4"}
    by_id = found.sort_values("variant").groupby("id")["caption"].agg(list)
    assert by_id[ids["some pictures/IMG 0002.JPG"]] == ["2 0", "2 1", "2 0", "2 1", "2 0"]
    assert ids["some pictures/IMG 0000.JPG"] not in by_id
    assert found.set_index("id")["source_sha256"].to_dict().items() <= index.set_index("id")["sha256"].to_dict().items()


def test_a_picture_that_is_added_renames_no_other(tmp_path):
    before, *_ = read(write(tmp_path / "in", numbered(5)))
    after, *_ = read(write(tmp_path / "in", {"a first.png": encoded(77)}))
    assert ids_by_file(before).items() < ids_by_file(after).items()


def test_pictures_of_a_group_and_equal_ones_stay_together(tmp_path):
    """A copy ties two groups together: 0-3 and 4-7 share the content of 3."""
    files = numbered(40)
    files["copy.JPG"] = files["some pictures/IMG 0003.JPG"]
    rows = [{"file_name": f"some pictures/IMG {n:04d}.JPG", "group": f"g{n // 4}"} for n in range(32)]
    rows.append({"file_name": "copy.JPG", "group": "g1"})
    pictures, index, *_ = read(write(tmp_path / "in", files | {"metadata.jsonl": table(*rows)}))
    split = index.set_index("file")["split"]
    for group in range(8):
        assert split[[f"some pictures/IMG {n:04d}.JPG" for n in range(4 * group, 4 * group + 4)]].nunique() == 1
    assert split[["copy.JPG", "some pictures/IMG 0003.JPG", "some pictures/IMG 0004.JPG"]].nunique() == 1
    counts = split.value_counts()
    assert {"val": counts["val"], "test": counts["test"]} == {"val": 8, "test": 8}
    assert len(pictures.groups) == 33


def test_folders_and_rows_say_the_split_and_what_they_leave_open_is_drawn(tmp_path):
    files = {f"test/{n}.png": encoded(n) for n in range(4)} | numbered(16, 50)
    files["metadata.jsonl"] = table({"file_name": "some pictures/IMG 0050.JPG", "split": "validation"})
    _, index, *_ = read(write(tmp_path / "in", files))
    split = index.set_index("file")["split"]
    assert set(split.index[split == "test"]) == {f"test/{n}.png" for n in range(4)}
    assert list(split.index[split == "val"]) == ["some pictures/IMG 0050.JPG"]


def test_what_is_called_train_is_held_out_last_and_named(tmp_path, capsys):
    names = [f"some pictures/IMG {n:04d}.JPG" for n in range(24)]
    said = [{"file_name": name, "split": "train"} for name in names]
    files = numbered(24) | {"metadata.jsonl": table(*said[:14])}
    _, index, *_ = read(write(tmp_path / "some", files))
    assert set(index.loc[index["file"].isin(names[:14]), "split"]) == {"train"}
    assert capsys.readouterr().out == ""
    _, index, *_ = read(write(tmp_path / "all", files | {"metadata.jsonl": table(*said)}))
    assert set(index["split"]) == set(SPLITS)
    told = capsys.readouterr().out
    assert re.search(
        r"^\d of what a folder or row calls train go to test, which none names: some pictures/IMG 00", told
    )
    assert "go to val" in told


def test_a_group_follows_the_split_of_those_that_say_one(tmp_path):
    rows = [{"file_name": f"some pictures/IMG {n:04d}.JPG", "group": "Rex"} for n in range(6)]
    rows[2]["split"] = "test"
    files = numbered(30) | {"metadata.jsonl": table(*rows)}
    _, index, *_ = read(write(tmp_path / "in", files))
    assert set(index.set_index("file")["split"][[row["file_name"] for row in rows]]) == {"test"}
    rows[4]["split"] = "train"
    with pytest.raises(
        DifflabError, match=r"in the group 'Rex' are .*IMG 000\d\.JPG of .* and .*: a group shares a split"
    ):
        read(write(tmp_path / "torn", files | {"metadata.jsonl": table(*rows)}))


def test_a_picture_is_of_one_split(tmp_path):
    rows = [{"file_name": "some pictures/IMG 0000.JPG", "split": split} for split in ("train", "test")]
    with pytest.raises(DifflabError, match=r"line 2: '.*IMG 0000.JPG' is of test here and of train before; correct it"):
        read(write(tmp_path / "in", numbered(20) | {"metadata.jsonl": table(*rows)}))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(0, 3))
def test_any_sizes_of_groups_are_split_without_a_leak(sizes, seed):
    """And each part has what a score needs wherever the groups allow it: groups of one picture do."""
    groups = {f"own-{n:03d}-{k}": f"g{n}" for n, size in enumerate(sizes) for k in range(size)}
    ids = sorted(groups)
    images = {id: encoded(n, size=(SIDE, SIDE)) for n, id in enumerate(ids)}

    class InMemory:
        def read(self, name):
            return images[name]

    frame = pd.DataFrame({"file": ids}, index=ids)
    pictures = OwnPictures(frame, {}, groups, {})
    split = own_pictures.split_pictures(InMemory(), pictures, frame, split_params(seed=seed), SIDE)
    assert split.index.tolist() == ids
    assert split.groupby(pd.Series(groups)).nunique().max() == 1
    counts = split.value_counts().reindex(SPLITS, fill_value=0)
    if set(sizes) == {1} and len(sizes) >= sum(LEAST.values()):
        assert all(counts[part] >= least for part, least in LEAST.items())


@pytest.mark.parametrize("count", [1, 13])
def test_too_few_pictures_are_refused_with_what_a_split_needs(tmp_path, count):
    files = numbered(count) | {"small.png": encoded(200, size=(8, 8)), "broken.png": b"\x89PNG"}
    _, index, archive, skipped = read(write(tmp_path / "in", files))
    with pytest.raises(
        DifflabError, match=r"to train \(of 6 at least\).*1 are smaller than prepare.min_side 16; 1 cannot be read; add"
    ):
        own_pictures.check_counts(archive, index, skipped, SIDE)


def test_fourteen_pictures_are_enough(tmp_path):
    _, index, archive, skipped = read(write(tmp_path / "in", numbered(14) | {"broken.png": b"\x89PNG"}))
    own_pictures.check_counts(archive, index, skipped, SIDE)
    assert index["split"].value_counts().to_dict() == LEAST


def test_what_is_no_folder_of_pictures_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    write(tmp_path / "empty", {"notes.txt": "x"})
    write(tmp_path, {"a.docx": b"PK"})
    for given_, message in (
        ("absent", "there is no "),
        ("empty", "holds no picture"),
        ("a.docx", "neither a folder nor"),
    ):
        with pytest.raises(DifflabError, match=message) as refused:
            find_own(given_)
        assert "\n" not in str(refused.value)
    assert find_own(str(write(tmp_path / "in", numbered(1)))) == (tmp_path / "in").resolve()


@pytest.mark.parametrize(("row", "message"), [
    ({"file_name": "IMG 0000.JPG", "text": 4}, "'text' is not a text or a list of texts"),
    ({"text": "a"}, "there is no 'file_name'"),
    ({"file_name": "../x.png"}, "leads out of the folder"),
    ({"file_name": "IMG 0000.JPG", "split": "hidden"}, "'split' is 'hidden', which is none of train, val and test"),
])  # fmt: skip
def test_a_wrong_row_is_named_by_file_and_line(tmp_path, row, message):
    folder = write(tmp_path / "in", numbered(1) | {"some pictures/metadata.jsonl": table({"file_name": "x.png"}, row)})
    with pytest.raises(DifflabError, match=rf"metadata.jsonl, line 2: .*{message}"):
        own_pictures.read(open_archive(folder))


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_what_a_table_of_pandas_leaves_open_says_nothing(tmp_path, kind):
    """NaN stands for it, which as a name of a group would tie all such pictures together."""
    frame = pd.DataFrame({"file_name": sorted(n.partition("/")[2] for n in numbered(3))})
    frame["group"], frame["outdoors"] = [1.0, np.nan, np.nan], [1.0, 0.0, np.nan]
    if kind == "jsonl":
        content = table(*frame.to_dict("records"))
        assert "NaN" in content
    else:
        frame.to_parquet(tmp_path / "t")
        content = (tmp_path / "t").read_bytes()
    folder = write(tmp_path / "in", numbered(3) | {f"some pictures/metadata.{kind}": content})
    pictures = own_pictures.read(open_archive(folder))
    assert list(pictures.groups.values()) == ["1.0"]
    assert pictures.table.set_index("file").sort_index()["outdoors"].tolist() == [True, False, False]


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "__index_level_0__"])
def test_row_numbers_are_no_attribute(tmp_path, name):
    content = f"{name},file_name\n0,IMG 0000.JPG\n1,IMG 0001.JPG\n"
    pictures = own_pictures.read(
        open_archive(write(tmp_path / "in", numbered(2) | {"some pictures/metadata.csv": content}))
    )
    assert list(pictures.table) == ["file"]
    assert pictures.unused == [name or "(no name)"]

"""Image folders: what is written is read, and a wrong row is named by file and line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_file
from difflab.images.archives.opening import open_archive
from difflab.images.sets.formats import image_folder
from difflab.images.sets.formats.rows import Captioned, clean
from fakes.face_archives import write_members
from fakes.set_archives import encoded, write_folder

captions = st.lists(st.text(max_size=30).map(clean).filter(bool), max_size=4)


@given(st.lists(captions, max_size=6))
def test_what_is_written_is_read(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("folder")
    images = [(f"{n}.png", b"image %d" % n, rows) for n, rows in enumerate(texts)]
    assert image_folder.write(folder / "train", images) == len(texts)
    found = image_folder.read(open_archive(folder))["train"]
    assert found == [Captioned(n, f"train/{n}.png", tuple(rows)) for n, rows in enumerate(texts)]
    assert [open_archive(folder).read(image.file) for image in found] == [content for _, content, _ in images]


def test_the_files_are_those_that_hugging_face_documents(tmp_path):
    image_folder.write(tmp_path / "f", [("a.png", b"a", ("ein Fuß", "a foot")), ("b.png", b"b", ())])
    assert (tmp_path / "f" / "metadata.jsonl").read_text() == (
        '{"file_name": "a.png", "text": "ein Fuß"}\n'
        '{"file_name": "a.png", "text": "a foot"}\n'
        '{"file_name": "b.png", "text": ""}\n'
    )


def test_the_bytes_are_the_same_every_time(tmp_path):
    for name in "ab":
        image_folder.write(tmp_path / name, [("a.png", encoded(8, 8), ("x", "y"))])
    assert sha256_file(tmp_path / "a") == sha256_file(tmp_path / "b")


def rows(*values: object) -> str:
    return "".join(f"{value if isinstance(value, str) else json.dumps(value)}\n" for value in values)


@pytest.mark.parametrize("write", [write_members, write_folder])
def test_columns_subfolders_and_splits(tmp_path, write):
    metadata = rows(
        {"file_name": "b.jpg", "caption": " two\nlines ", "width": 3},
        "",
        {"file_name": "x/a.jpg", "captions": ["one", "", "two"]},
        {"file_name": "b.jpg", "text": "again"},
        {"file_name": "c.jpg", "captions": []},
    )
    members = {"set/metadata.jsonl": metadata, "set/test/metadata.jsonl": rows({"file_name": "d.jpg", "text": ""})}
    splits = image_folder.read(open_archive(write(tmp_path / "f", members)))
    assert splits == {
        "train": [
            Captioned(0, "set/b.jpg", ("two lines", "again")),
            Captioned(1, "set/x/a.jpg", ("one", "two")),
            Captioned(2, "set/c.jpg", ()),
        ],
        "test": [Captioned(0, "set/test/d.jpg", ())],
    }


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{'file_name': 1}", "not JSON"),
        ('["a.jpg"]', "there is no 'file_name'"),
        ({"text": "x"}, "there is no 'file_name'"),
        ({"file_name": "", "text": "x"}, "there is no 'file_name'"),
        ({"file_name": 3, "text": "x"}, "there is no 'file_name'"),
        ({"file_name": "../a.jpg", "text": "x"}, r"'\.\./a\.jpg' leads out of the folder"),
        ({"file_name": "/a.jpg", "text": "x"}, r"'/a\.jpg' leads out of the folder"),
        ({"file_name": "a.jpg"}, "there must be one of text, caption, captions, not 0"),
        ({"file_name": "a.jpg", "text": "x", "caption": "y"}, "there must be one of text, caption, captions, not 2"),
        ({"file_name": "a.jpg", "text": None}, "'text' is not a text"),
        ({"file_name": "a.jpg", "caption": ["x"]}, "'caption' is not a text"),
        ({"file_name": "a.jpg", "captions": "x"}, "'captions' is not a list of texts"),
        ({"file_name": "a.jpg", "captions": ["x", 1]}, "'captions' is not a list of texts"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(tmp_path, row, message):
    text = rows({"file_name": "ok.jpg", "text": "fine"}, "", row)
    folder = write_folder(tmp_path / "f", {"train/metadata.jsonl": text})
    with pytest.raises(DifflabError, match=rf"train/metadata\.jsonl, line 3: {message}") as error:
        image_folder.read(open_archive(folder))
    assert "\n" not in str(error.value)


def test_a_folder_without_metadata_says_what_to_write(tmp_path):
    write_folder(tmp_path / "f", {"a.jpg": b"x"})
    with pytest.raises(DifflabError, match=r"has no metadata\.jsonl: write one row an image"):
        image_folder.read(open_archive(tmp_path / "f"))

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


@given(st.lists(captions, min_size=1, max_size=6))
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
        ({"file_name": "a.jpg", "text": 0}, "'text' is not a text or a list of texts"),
        ({"file_name": "a.jpg", "captions": ["x", None]}, "'captions' is not a text or a list of texts"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(tmp_path, row, message):
    text = rows({"file_name": "ok.jpg", "text": "fine"}, "", row)
    folder = write_folder(tmp_path / "f", {"train/metadata.jsonl": text})
    with pytest.raises(DifflabError, match=rf"train/metadata\.jsonl, line 3(: | \(.*\): ){message}") as error:
        image_folder.read(open_archive(folder))
    assert "\n" not in str(error.value)


def test_a_folder_without_metadata_says_what_to_write(tmp_path):
    write_folder(tmp_path / "f", {"a.jpg": b"x"})
    with pytest.raises(DifflabError, match=r"has no captions: write a metadata\.jsonl or"):
        image_folder.read(open_archive(tmp_path / "f"))


PICTURE = encoded(8, 8)


def found_in(folder, members, column=None):
    archive = open_archive(write_folder(folder, members))
    splits = image_folder.read(archive, column)
    return archive, {split: {image.file: image.captions for image in images} for split, images in splits.items()}


@pytest.mark.parametrize(
    "table",
    [
        'file_name,text\r\na.png,"one, two"\r\nb.png,\r\na.png,three\r\n'.encode("utf-8-sig"),
        'file_name,text\na.png,"one, two"\nb.png,\na.png,three\n'.encode("utf-16"),
    ],
)
def test_a_csv_is_read_as_people_s_programs_write_it(tmp_path, table):
    members = {"train/METADATA.csv": table, "train/a.png": PICTURE, "train/b.png": PICTURE, "train/c.PNG": PICTURE}
    archive, splits = found_in(tmp_path / "f", members)
    assert splits == {"train": {"train/a.png": ("one, two", "three"), "train/b.png": ()}}
    assert archive.passed_over == {"no caption": ["train/c.PNG"]}


def test_parquet_is_read_too(tmp_path):
    import pandas as pd

    frame = pd.DataFrame({"file_name": ["val/a.png"], "captions": [["one", "two"]]})
    frame.to_parquet(tmp_path / "metadata.parquet")
    _, splits = found_in(tmp_path / "f", {"metadata.parquet": (tmp_path / "metadata.parquet").read_bytes()})
    assert splits == {"test": {"val/a.png": ("one", "two")}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file_name,text\na.png,Caf\xe9\n", r"metadata\.csv, line 2: not UTF-8 text; save it as such"),
        (b"file_name,text\na.png,x,y\n", r"metadata\.csv, row 2: it has more values than there are columns"),
        (b'file_name,text\n"a.png', r"^unreadable: .*metadata\.csv \("),
        (b"file_name,notes\na.png,x\n", r"row 2: there must be one of .*images\.caption_column \(there is notes\)"),
    ],
)
def test_a_csv_that_cannot_be_read_is_one_line(tmp_path, content, message):
    with pytest.raises(DifflabError, match=message):
        found_in(tmp_path / "f", {"metadata.csv": content})


def test_two_tables_of_a_folder_are_refused(tmp_path):
    with pytest.raises(DifflabError, match=r"has metadata\.csv and metadata\.jsonl: keep one"):
        found_in(tmp_path / "f", {"metadata.csv": "file_name,text\n", "metadata.jsonl": ""})


@pytest.mark.parametrize("value", ["null", '""', "NaN", "[]"])
def test_a_picture_may_have_no_caption(tmp_path, value):
    members = {"metadata.jsonl": f'{{"file_name": "a.png", "text": {value}}}\n{{"file_name": "b.png", "text": ["x"]}}'}
    assert found_in(tmp_path / "f", members)[1] == {"train": {"a.png": (), "b.png": ("x",)}}


def test_the_column_of_captions_can_be_named(tmp_path):
    members = {"metadata.jsonl": rows({"file_name": "a.png", "notes": "a meme", "text": "x", "filename": "a.jpg"})}
    assert found_in(tmp_path / "f", members, "notes")[1] == {"train": {"a.png": ("a meme",)}}
    with pytest.raises(DifflabError, match=r"one of note, not 0; .*\(there is notes, text, filename\)"):
        found_in(tmp_path / "f", members, "note")


@pytest.mark.parametrize(
    "name", ["validation", "Validation", "val", "valid", "dev", "test", "eval", "val2017", "test_images"]
)
@pytest.mark.parametrize("above", [False, True])
def test_what_is_held_out_is_never_trained_on(tmp_path, name, above):
    members = {f"{part}/metadata.jsonl": rows({"file_name": "a.png", "text": part}) for part in ("train", name)}
    if above:  # one table for all
        members = {"metadata.jsonl": rows(*({"file_name": f"{p}/a.png", "text": p} for p in ("train", name)))}
    assert found_in(tmp_path / "f", members)[1] == {
        "train": {"train/a.png": ("train",)},
        "test": {f"{name}/a.png": (name,)},
    }


def test_validation_beside_a_test_split_is_passed_over_by_name(tmp_path):
    parts = ("train", "validation", "test")
    members = {f"{part}/metadata.jsonl": rows({"file_name": "a.png", "text": part}) for part in parts}
    archive, splits = found_in(tmp_path / "f", members)
    assert {split: list(images) for split, images in splits.items()} == {
        "train": ["train/a.png"],
        "test": ["test/a.png"],
    }
    assert archive.passed_over == {"validation, beside a test split": ["validation/a.png"]}


def test_a_column_says_the_split_before_the_folder_does(tmp_path):
    table = "file_name,text,split\na.png,a,train\nb.png,b,Validation\ntest/c.png,c,\ntest/d.png,d,train\n"
    members = {"metadata.csv": table} | dict.fromkeys(("a.png", "b.png", "test/c.png", "test/d.png"), PICTURE)
    archive, splits = found_in(tmp_path / "f", members)
    assert {split: list(images) for split, images in splits.items()} == {
        "train": ["a.png", "test/d.png"],
        "test": ["test/c.png"],
    }
    assert archive.passed_over == {"validation, beside a test split": ["b.png"]}


def test_a_split_that_is_none_is_refused_by_file_and_line(tmp_path):
    members = {"metadata.jsonl": rows({"file_name": "a.png", "text": "a", "split": 3}), "a.png": PICTURE}
    with pytest.raises(DifflabError, match=r"line 1: 'split' is '3', which is none of train, val and test; correct it"):
        found_in(tmp_path / "f", members)


def test_folders_of_splits_with_a_name_before_them_are_no_classes(tmp_path):
    members = {f"seg_{split}/{kind}/a.png": PICTURE for split in ("train", "test") for kind in ("sea", "forest")}
    assert found_in(tmp_path / "f", members)[1] == {
        split: {f"seg_{split}/{kind}/a.png": (kind,) for kind in ("forest", "sea")} for split in ("train", "test")
    }
    with pytest.raises(DifflabError, match="has no captions"):
        found_in(tmp_path / "g", {"seg_train/a.png": PICTURE, "seg_test/a.png": PICTURE})


def test_texts_beside_images_are_captions_one_a_line(tmp_path):
    members = {
        "train/a.JPG": encoded(8, 8, form="JPEG"),
        "train/a.TXT": "\ufeffa cat\r\n\r\nmy cat\r\n",
        "dev/b.png": PICTURE,
        "dev/b.caption": "a dog",
        "c.png": PICTURE,
        "README.txt": "about",
    }
    archive, splits = found_in(tmp_path / "f", members)
    assert splits == {"train": {"train/a.JPG": ("a cat", "my cat")}, "test": {"dev/b.png": ("a dog",)}}
    assert archive.passed_over == {"no caption": ["c.png"], "caption without an image": ["README.txt"]}


def test_a_text_beside_two_images_of_one_name_is_refused(tmp_path):
    with pytest.raises(DifflabError, match=r"a\.txt stands beside a\.jpg and a\.png: rename one"):
        found_in(tmp_path / "f", {"a.jpg": PICTURE, "a.png": PICTURE, "a.txt": "x"})


def test_of_two_images_that_differ_in_case_a_text_stands_beside_that_of_its_name(tmp_path):
    members = {"a.jpg": PICTURE, "a.txt": "low", "A.JPG": PICTURE, "A.TXT": "high", "B.png": PICTURE, "b.txt": "any"}
    assert found_in(tmp_path / "f", members)[1] == {"train": {"A.JPG": ("high",), "B.png": ("any",), "a.jpg": ("low",)}}


def test_an_image_with_the_ending_of_a_text_is_an_image(tmp_path):
    archive, splits = found_in(tmp_path / "f", {"a.png": PICTURE, "a.txt": "a cat", "b.txt": PICTURE})
    assert splits == {"train": {"a.png": ("a cat",)}}
    assert archive.passed_over == {"no caption": ["b.txt"]}


def test_only_the_ends_of_lines_part_captions(tmp_path):
    members = {"a.png": PICTURE, "a.txt": "one\x85more\u2028of it\x0b\r\ntwo\rthree"}
    assert found_in(tmp_path / "f", members)[1] == {"train": {"a.png": ("one more of it", "two", "three")}}


def test_a_text_in_another_encoding_is_refused_by_name(tmp_path):
    with pytest.raises(DifflabError, match=r"a\.txt, line 2: not UTF-8 text; save it as such"):
        found_in(tmp_path / "f", {"a.png": PICTURE, "a.txt": "ok\nCaf\u00e9".encode("latin-1")})


def test_folders_of_classes_are_captions(tmp_path):
    members = {"train/Siamese_cat/1.png": PICTURE, "train/dog/1.png": PICTURE, "test/dog/2.png": PICTURE}
    assert found_in(tmp_path / "f", members)[1] == {
        "train": {"train/Siamese_cat/1.png": ("Siamese cat",), "train/dog/1.png": ("dog",)},
        "test": {"test/dog/2.png": ("dog",)},
    }


def test_names_of_a_table_are_found_in_any_unicode_form_and_case(tmp_path):
    members = {"metadata.jsonl": rows({"file_name": "caf\u00e9.jpg", "text": "x"}), "cafe\u0301.JPG": PICTURE}
    archive, splits = found_in(tmp_path / "f", members)
    assert splits == {"train": {"caf\u00e9.JPG": ("x",)}}
    assert archive.passed_over == {}

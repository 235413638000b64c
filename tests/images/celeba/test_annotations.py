"""The official text tables; what is wrong is named by file and line."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base.errors import DifflabError
from difflab.images.archives.opening import open_archive
from difflab.images.celeba import annotations
from fakes.face_archives import NAMES, attribute_table


def read(text: str):
    return annotations.read_attributes(io.BytesIO(text.encode()), "list_attr.txt")


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), max_size=30))
def test_what_is_written_is_read(rows):
    lines = [f"{n}.jpg  " + " ".join(" 1" if v else "-1" for v in row) for n, row in enumerate(rows)]
    table = read("\n".join([str(len(rows)), "A B C D", *lines]) + "\n")
    assert table.to_numpy().tolist() == rows
    assert table.index.tolist() == [f"{n}.jpg" for n in range(len(rows))]
    assert table.columns.tolist() == ["A", "B", "C", "D"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2\nA B\n0.jpg 1 -1\n1.jpg 1\n", "line 4: 1 values for 2 attributes"),
        ("2\nA B\n0.jpg 1 -1\n1.jpg 1 1 1\n", "line 4: 3 values for 2 attributes"),
        ("1\nA B\n\n0.jpg 1 0\n", "line 4: the value '0' is neither 1 nor -1"),
        ("3\nA B\n0.jpg 1 -1\n", "line 1: it announces 3 rows, the file has 1"),
        ("2\nA\n0.jpg 1\n0.jpg 1\n", "lists 0.jpg twice"),
        ("A B\n0.jpg 1 -1\n", "line 1: the number of rows is missing"),
        ("many\nA B\n", "line 1: 'many' is not a whole number"),
        ("", "line 1: the number of rows is missing"),
        ("1\n", "ends before its line of column names"),
    ],
)
def test_a_wrong_table_is_named_by_file_and_line(text, problem):
    with pytest.raises(DifflabError, match=problem) as error:
        read(text)
    assert "list_attr.txt" in str(error.value)


def test_binary_content_is_not_a_table():
    with pytest.raises(DifflabError, match="line 1: not UTF-8"):
        annotations.read_attributes(io.BytesIO(b"\xff\xfe\x00\n"), "list_attr.txt")


def test_a_byte_order_mark_is_skipped():
    assert len(annotations.read_attributes(io.BytesIO(b"\xef\xbb\xbf1\r\nA\r\n0.jpg -1\r\n"), "t")) == 1


def test_boxes_and_mapping():
    boxes = io.BytesIO(b"2\nimage_id x_1 y_1 width height\n000001.jpg    95  71 226 313\n000002.jpg 0 -3 4 5\n")
    assert annotations.read_boxes(boxes, "b") == {"000001.jpg": (95, 71, 226, 313), "000002.jpg": (0, -3, 4, 5)}
    mapping = io.BytesIO(b"idx        orig_idx    orig_file\n0          119613      119614.jpg\n")
    assert annotations.read_mapping(mapping, "m") == {0: "119614.jpg"}


@pytest.mark.parametrize("row", ["000001.jpg 1 2 3", "000001.jpg 1 2 3 x"])
def test_a_wrong_box_is_named_by_line(row):
    with pytest.raises(DifflabError, match=r"b\.txt, line 3"):
        annotations.read_boxes(io.BytesIO(f"1\nimage_id x_1 y_1 width height\n{row}\n".encode()), "b.txt")


def test_a_wrong_mapping_is_named_by_line():
    with pytest.raises(DifflabError, match=r"m\.txt, line 2: 2 columns instead of 3"):
        annotations.read_mapping(io.BytesIO(b"idx orig_idx orig_file\n0 7\n"), "m.txt")


def test_the_fake_table_has_the_official_form():
    assert read(attribute_table(["0.jpg", "1.jpg"])).columns.tolist() == list(NAMES)


def test_the_real_tables(data_root):
    hq = open_archive(data_root / "celeba" / "CelebAMask-HQ.zip")
    with hq.open("CelebAMask-HQ/CelebAMask-HQ-attribute-anno.txt") as stream:
        table = annotations.read_attributes(stream, "hq")
    assert table.shape == (30_000, 40)
    with hq.open("CelebAMask-HQ/CelebA-HQ-to-CelebA-mapping.txt") as stream:
        mapping = annotations.read_mapping(stream, "mapping")
    assert len(set(mapping.values())) == 30_000
    assert mapping[0] == "119614.jpg"

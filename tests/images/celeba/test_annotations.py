"""The official text tables; what is wrong is named by file and line."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base.errors import DifflabError
from difflab.images.archives.opening import Archive, open_archive
from difflab.images.celeba import celeba, celeba_hq
from difflab.images.celeba.annotations import read_attributes
from fakes.face_archives import NAMES, attribute_table


def holding(name: str, content: str | bytes) -> Archive:
    return Archive(Path("a.zip"), {name: content.encode() if isinstance(content, str) else content}, io.BytesIO)


def read(content: str | bytes):
    return read_attributes(holding("list_attr.txt", content), "list_attr.txt", "hq-{:05d}")


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), max_size=30))
def test_what_is_written_is_read_by_id(rows):
    lines = [f"{n}.jpg  " + " ".join(" 1" if v else "-1" for v in row) for n, row in enumerate(rows)]
    table = read("\n".join([str(len(rows)), "A B C D", *reversed(lines)]) + "\n")
    assert table.columns.tolist() == ["file", "A", "B", "C", "D"]
    assert table.drop(columns="file").to_numpy().tolist() == rows
    assert table["file"].tolist() == [f"{n}.jpg" for n in range(len(rows))]
    assert table.index.tolist() == [f"hq-{n:05d}" for n in range(len(rows))]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2\nA B\n0.jpg 1 -1\n1.jpg 1\n", "line 4: 2 columns instead of 3"),
        ("2\nA B\n0.jpg 1 -1\n1.jpg 1 1 1\n", "line 4: 4 columns instead of 3"),
        ("1\nA B\n\n0.jpg 1 0\n", "line 4: the value '0' is neither 1 nor -1"),
        ("3\nA B\n0.jpg 1 -1\n", "line 1: it announces 3 rows, the file has 1"),
        ("2\nA\n0.jpg 1\n0.jpg 1\n", "line 4: it lists 0.jpg twice"),
        ("1\nA\ncover.jpg 1\n", "line 3: the name of 'cover.jpg' is not a number"),
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
        read(b"\xff\xfe\x00\n")


def test_a_byte_order_mark_is_skipped():
    assert len(read(b"\xef\xbb\xbf1\r\nA\r\n0.jpg -1\r\n")) == 1


def test_boxes_and_mapping():
    rows = "2\nimage_id x_1 y_1 width height\n000001.jpg    95  71 226 313\n000002.jpg 0 -3 4 5\n"
    boxes = celeba.read_boxes(holding(celeba.BOXES, rows))
    assert boxes == {"000001.jpg": (95, 71, 226, 313), "000002.jpg": (0, -3, 4, 5)}
    mapping = holding(celeba_hq.MAPPING, "idx        orig_idx    orig_file\n0          119613      119614.jpg\n")
    assert celeba_hq.read_mapping(mapping, read("1\nA\n0.jpg 1\n")) == {0: "119614.jpg"}


@pytest.mark.parametrize("row", ["000001.jpg 1 2 3", "000001.jpg 1 2 3 x"])
def test_a_wrong_box_is_named_by_line(row):
    with pytest.raises(DifflabError, match=r"list_bbox_celeba\.txt, line 3"):
        celeba.read_boxes(holding(celeba.BOXES, f"1\nimage_id x_1 y_1 width height\n{row}\n"))


def test_a_wrong_mapping_is_named_by_line():
    with pytest.raises(DifflabError, match=r"mapping\.txt, line 2: 2 columns instead of 3"):
        celeba_hq.read_mapping(holding(celeba_hq.MAPPING, "idx orig_idx orig_file\n0 7\n"), read("0\nA\n"))


def test_the_fake_table_has_the_official_form():
    assert read(attribute_table(["0.jpg", "1.jpg"])).columns.tolist() == ["file", *NAMES]


def test_the_real_tables(data_root):
    hq = open_archive(data_root / "celeba" / "CelebAMask-HQ.zip")
    table = celeba_hq.read_table(hq)
    assert table.shape == (30_000, 41)
    mapping = celeba_hq.read_mapping(hq, table)
    assert len(set(mapping.values())) == 30_000
    assert mapping[0] == "119614.jpg"

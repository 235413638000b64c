"""The two forms of a document: Markdown, and one HTML file that needs no network."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

from difflab.report.document import (
    MAX_PICTURE_WIDTH,
    Bullets,
    Picture,
    Section,
    Table,
    Text,
    inline,
    markdown_table,
    to_html,
    to_markdown,
)


def png(path: Path, width: int = 8) -> Path:
    Image.new("RGB", (width, 4), (200, 10, 10)).save(path)
    return path


class Balanced(HTMLParser):
    """Fails on a tag that is closed in the wrong order or not at all."""

    VOID = frozenset({"meta", "img", "source", "br", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def document(tmp_path: Path) -> list[Section]:
    picture = Picture(
        png(tmp_path / "a.png"), 'a "quoted" <caption>', dark=png(tmp_path / "b.png"), pixels=True
    )
    table = Table(["model", "FID"], [["m < 0", "1 | 2"]])
    return [Section("One & two", [Text("**bold** and `code`"), Bullets(["x", "y"]), table, picture])]


def test_html_is_whole_and_balanced(tmp_path):
    page = to_html("T", document(tmp_path))
    parser = Balanced()
    parser.feed(page)
    assert not parser.open
    assert "<strong>bold</strong> and <code>code</code>" in page
    assert 'href="#one-two"' in page
    assert 'id="one-two"' in page


def test_html_needs_no_network(tmp_path):
    page = to_html("T", document(tmp_path))
    assert re.findall(r'(?:src|srcset)="([^"]{5})', page) == ["data:", "data:"]
    assert "<link" not in page
    assert "<script" not in page
    assert "url(" not in page


def test_html_fits_a_phone_and_both_colour_schemes(tmp_path):
    page = to_html("T", document(tmp_path))
    assert 'name="viewport"' in page
    assert page.count("prefers-color-scheme: dark") == 2  # the style, and the picture's dark form
    assert '<div class="scroll"><table' in page


def test_embedded_pictures_are_the_files_and_large_ones_are_reduced(tmp_path):
    small, large = png(tmp_path / "s.png"), png(tmp_path / "l.png", 4 * MAX_PICTURE_WIDTH)
    page = to_html("T", [Section("P", [Picture(small, "s"), Picture(large, "l")])])
    first, second = (base64.b64decode(x) for x in re.findall(r"base64,([^\"]+)", page))
    assert first == small.read_bytes()
    assert Image.open(io.BytesIO(second)).width == MAX_PICTURE_WIDTH


def test_text_from_outside_cannot_become_markup():
    assert inline("<script>") == "&lt;script&gt;"
    assert inline("[x](javascript:alert)") == "[x](javascript:alert)"
    assert inline("[x](https://a.b/c)") == '<a href="https://a.b/c">x</a>'


def test_markdown_links_pictures_from_the_folder_of_the_file(tmp_path):
    text = to_markdown("T", document(tmp_path), tmp_path / "reports")
    assert "](../a.png)" in text
    assert "- x\n- y" in text


def test_a_markdown_table_keeps_its_columns():
    assert markdown_table(Table(["a", "b"], [["x|y", "1"]])).splitlines() == [
        "| a | b |",
        "| --- | ---: |",
        "| x\\|y | 1 |",
    ]

"""The report's page: Markdown as one HTML file that needs no network."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from difflab.report.page import MAX_PICTURE_WIDTH, anchor, to_html

TEXT = """# Title & more

[to the second](#two-parts)

## Two parts

**bold** and `code`, <script>alert(1)</script>, [x](javascript:alert(1))

| model | FID |
| --- | ---: |
| m < 0 | 1 \\| 2 |

![small](a.png)
*caption*
"""


class Balanced(HTMLParser):
    """Fails on a tag that is closed in the wrong order or not at all."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture
def page(tmp_path) -> str:
    png(tmp_path / "a.png")
    return to_html(TEXT, tmp_path)


def png(path: Path, width: int = 8) -> Path:
    Image.new("RGB", (width, 4), (200, 10, 10)).save(path)
    return path


def test_the_page_is_whole_and_balanced(page):
    parser = Balanced()
    parser.feed(page)
    assert not parser.open
    assert "<title>Title &amp; more</title>" in page
    assert "<strong>bold</strong> and <code>code</code>" in page
    assert "<td>m &lt; 0</td>" in page
    assert '<td style="text-align:right">1 | 2</td>' in page


def test_headings_are_linked_as_on_github(page):
    assert anchor("Two parts") == "two-parts"
    assert page.count('href="#two-parts"') == 2  # of the text, and of the list of sections
    assert '<h2 id="two-parts">' in page


def test_the_page_needs_no_network(page):
    assert re.findall(r'src="([^"]{5})', page) == ["data:"]
    for outside in ("<link", "<script", "url(", "http:"):
        assert outside not in page


def test_text_cannot_become_markup(page):
    assert "&lt;script&gt;" in page
    assert 'href="javascript' not in page


def test_the_style_knows_dark_pages_and_lets_wide_tables_scroll(page):
    assert 'name="viewport"' in page
    assert "color-scheme: light dark" in page
    assert re.search(r"table \{[^}]*overflow-x: auto", page)


def test_embedded_pictures_are_the_files_and_large_ones_are_reduced(tmp_path):
    small, large = png(tmp_path / "s.png"), png(tmp_path / "l.png", 4 * MAX_PICTURE_WIDTH)
    page = to_html("![s](s.png)\n\n![l](l.png)", tmp_path)
    first, second = (base64.b64decode(x) for x in re.findall(r"base64,([^\"]+)", page))
    assert first == small.read_bytes() != large.read_bytes()
    assert Image.open(io.BytesIO(second)).width == MAX_PICTURE_WIDTH

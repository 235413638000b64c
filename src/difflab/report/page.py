"""Markdown as one HTML page that needs no network: style and pictures are inside."""

import base64
import html
import re
from itertools import pairwise
from pathlib import Path

from difflab.core.base.files import png_bytes
from difflab.core.base.store.decoder import decode_image, image_size

MAX_PICTURE_WIDTH = 1600  # pixels embedded in the page; the file itself is left as it is


def to_html(text: str, folder: Path) -> str:
    """The page of a Markdown text.

    Args:
        text: CommonMark with tables; HTML in it is shown as text.
        folder: what its links to pictures are relative to.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    titles = {"h1": [], "h2": []}
    for token, content in pairwise(tokens):
        if token.type == "heading_open" and token.tag in titles:
            titles[token.tag].append(content.content)
            token.attrSet("id", anchor(content.content))
        for child in token.children or ():
            if child.type == "image":
                child.attrSet("src", _data_uri(folder / str(child.attrs["src"])))
    frame = Path(__file__).with_name("page.html").read_text()
    return frame.format(
        title=html.escape(" ".join(titles["h1"])),
        style=Path(__file__).with_name("report.css").read_text(),
        links=" ".join(f'<a href="#{anchor(t)}">{html.escape(t)}</a>' for t in titles["h2"]),
        body=parser.renderer.render(tokens, parser.options, {}),
    )


def anchor(title: str) -> str:
    """The name of a heading in links, the same as GitHub's."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _data_uri(path: Path) -> str:
    from PIL.Image import Resampling

    content = path.read_bytes()
    if image_size(content, str(path))[0] > MAX_PICTURE_WIDTH:
        image = decode_image(content, str(path))
        size = MAX_PICTURE_WIDTH, max(1, round(image.height * MAX_PICTURE_WIDTH / image.width))
        content = png_bytes(image.resize(size, Resampling.LANCZOS))
    return "data:image/png;base64," + base64.b64encode(content).decode()

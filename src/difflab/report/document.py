"""A small document: sections of text, lists, tables and pictures, written as Markdown or as one HTML file.

Text may hold **bold**, `code` and [links](https://...); nothing else is markup, everything else is escaped.
"""

import base64
import html
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from difflab.core.base.files import png_bytes

MAX_PICTURE_WIDTH = 1600  # pixels embedded in the HTML; the file itself is left as it is


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Bullets:
    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column is left-aligned, the others right-aligned (`numbers=False`: all
    left)."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: bool = True


@dataclass(frozen=True)
class Picture:
    """A PNG; `dark` is shown instead on a dark page; `pixels` keeps the pixels of small images sharp."""

    path: Path
    caption: str
    dark: Path | None = None
    pixels: bool = False


Block = Text | Bullets | Table | Picture


@dataclass
class Section:
    title: str
    blocks: list[Block] = field(default_factory=list)


def markdown_table(table: Table) -> str:
    """A Markdown table."""
    rule = ["---"] + ["---:" if table.numbers else "---"] * (len(table.header) - 1)
    rows = [table.header, rule, *table.rows]
    return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows)


def to_markdown(title: str, sections: Sequence[Section], folder: Path) -> str:
    """The document as Markdown; pictures are linked relative to `folder`, where the file will stand."""
    parts = [f"# {title}"]
    for section in sections:
        parts.append(f"## {section.title}")
        parts += [_markdown_block(block, folder) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def _markdown_block(block: Block, folder: Path) -> str:
    if isinstance(block, Text):
        return block.text
    if isinstance(block, Bullets):
        return "\n".join(f"- {item}" for item in block.items)
    if isinstance(block, Table):
        return markdown_table(block)
    link = Path(os.path.relpath(block.path, folder)).as_posix()
    return f"![{block.caption}]({link})\n\n*{block.caption}*"


def to_html(title: str, sections: Sequence[Section]) -> str:
    """The document as one HTML file that needs no network: style and pictures are inside."""
    links = " ".join(f'<a href="#{_anchor(s.title)}">{html.escape(s.title)}</a>' for s in sections)
    body = "\n".join(_html_section(section) for section in sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{_css()}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{html.escape(title)}</h1>\n<nav>{links}</nav>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _css() -> str:
    return Path(__file__).with_name("report.css").read_text()


def _html_section(section: Section) -> str:
    blocks = "\n".join(_html_block(block) for block in section.blocks)
    name = _anchor(section.title)
    return f'<section id="{name}">\n<h2>{html.escape(section.title)}</h2>\n{blocks}\n</section>'


def _html_block(block: Block) -> str:
    if isinstance(block, Text):
        return f"<p>{inline(block.text)}</p>"
    if isinstance(block, Bullets):
        return "<ul>" + "".join(f"<li>{inline(item)}</li>" for item in block.items) + "</ul>"
    if isinstance(block, Table):
        head = "".join(f"<th>{inline(c)}</th>" for c in block.header)
        rows = "\n".join(
            "<tr>" + "".join(f"<td>{inline(c)}</td>" for c in row) + "</tr>" for row in block.rows
        )
        kind = "numbers" if block.numbers else "words"
        table = f'<table class="{kind}"><thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table>'
        return f'<div class="scroll">{table}</div>'
    return _html_picture(block)


def _html_picture(picture: Picture) -> str:
    dark = ""
    if picture.dark is not None:
        dark = f'<source media="(prefers-color-scheme: dark)" srcset="{_data_uri(picture.dark)}">'
    kind = ' class="pixels"' if picture.pixels else ""
    caption = inline(picture.caption)
    alt = html.escape(re.sub(r"[*`]", "", picture.caption), quote=True)
    image = f'<img{kind} src="{_data_uri(picture.path)}" alt="{alt}">'
    return f"<figure><picture>{dark}{image}</picture><figcaption>{caption}</figcaption></figure>"


def _data_uri(path: Path) -> str:
    content = path.read_bytes()
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        if image.width > MAX_PICTURE_WIDTH:
            size = MAX_PICTURE_WIDTH, max(1, round(image.height * MAX_PICTURE_WIDTH / image.width))
            content = png_bytes(image.convert("RGB").resize(size, Image.Resampling.LANCZOS))
    return "data:image/png;base64," + base64.b64encode(content).decode()


def inline(text: str) -> str:
    """Escaped text with **bold**, `code` and [links](https://...) as HTML."""
    text = html.escape(text, quote=True)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"\[([^\]]+)\]\((https?://[^)\s]+)\)", r'<a href="\2">\1</a>', text)


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")

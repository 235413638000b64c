"""Pictures with words: titles below them, or the name of each row beside it."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from difflab.core.base.errors import DifflabError

_FONT_SIZE, _LINE, _GAP, _NAME_WIDTH = 11, 14, 6, 240  # pixels
_INK = "#333333"


def contact_sheet(
    images: Sequence[np.ndarray], titles: Sequence[str], ncols: int, side: int = 112, lines: int = 3
) -> Image.Image:
    """Pictures uint8 [H, W, 3] of any sizes, row by row, each with its title below in at most `lines` lines."""
    if not len(images):
        raise DifflabError("a contact sheet needs at least one image")
    ncols = min(ncols, len(images))
    nrows = -(-len(images) // ncols)
    width, height = side + _GAP, side + lines * _LINE + _GAP
    canvas = Image.new("RGB", (ncols * width + _GAP, nrows * height + _GAP), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(_FONT_SIZE)
    for number, (image, title) in enumerate(zip(images, titles, strict=True)):
        left, top = _GAP + number % ncols * width, _GAP + number // ncols * height
        canvas.paste(scaled(image, side), (left, top))
        for row, line in enumerate(wrapped(title, side, font)[:lines]):
            draw.text((left, top + side + row * _LINE), line, _INK, font)
    return canvas


def rows_sheet(
    rows: Sequence[tuple[str, Sequence[np.ndarray] | np.ndarray]], side: int = 64, titles: Sequence[str] = ()
) -> Image.Image:
    """Rows of pictures, the name of each row to its left in at most 240 pixels, titles above the columns."""
    if not any(len(images) for _, images in rows):
        raise DifflabError("a sheet needs at least one image")
    font = ImageFont.load_default(_FONT_SIZE)
    names = [wrapped(name, _NAME_WIDTH, font) for name, _ in rows]
    heads = [wrapped(title, side, font) for title in titles]
    left = round(max((font.getlength(line) for lines in names for line in lines), default=0)) + 2 * _GAP
    top = 2 + _LINE * max(map(len, heads), default=0)
    heights = [max(side, _LINE * len(lines)) + 2 for lines in names]
    width = left + max(len(images) for _, images in rows) * (side + 2)
    canvas = Image.new("RGB", (width, top + sum(heights)), "white")
    draw = ImageDraw.Draw(canvas)
    for column, lines in enumerate(heads):
        draw.multiline_text((left + column * (side + 2), 0), "\n".join(lines), _INK, font, spacing=2)
    for lines, height, (_, images) in zip(names, heights, rows, strict=True):
        draw.multiline_text((_GAP, top + (side - _LINE * len(lines)) // 2), "\n".join(lines), _INK, font, spacing=2)
        for column, image in enumerate(images):
            canvas.paste(scaled(image, side), (left + column * (side + 2), top))
        top += height
    return canvas


def scaled(image: np.ndarray, side: int) -> Image.Image:
    """A picture whose longer side is `side`: small ones pixel by pixel, large ones antialiased."""
    picture = Image.fromarray(image)
    factor = side / max(picture.size)
    width, height = (max(1, round(length * factor)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS)


def wrapped(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    """The text in lines of at most `width` pixels; a longer word has a line of its own."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines

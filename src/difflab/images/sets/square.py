"""Images as the squares that are stored, in PNG."""

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

_COMPRESSION = 1  # of zlib: a third larger than the best, and many times as fast


class Square(NamedTuple):
    """What became of one image: its PNG, or (`image` empty) why it was dropped; `cropped` where it was not square."""

    image: bytes
    cropped: bool
    problem: str  # "" | unreadable | small


def square_png(job: tuple[np.ndarray | bytes, int]) -> Square:
    """Centre crop to the largest square and resize by PIL's antialiased bicubic filter, never to a larger size.

    Args:
        job: uint8 [H, W] (stays grey) or [H, W, 3], or an encoded image, which becomes RGB, white where it is
            transparent, and is turned as its camera noted; and the wanted side in pixels.
    """
    from PIL import Image

    content, size = job
    try:
        image = Image.fromarray(content) if isinstance(content, np.ndarray) else _decode(content)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return Square(b"", False, "unreadable")
    width, height = image.size
    side = min(width, height)
    if side < size:
        return Square(b"", False, "small")
    if (width, height) != (size, size):
        left, top = (width - side) // 2, (height - side) // 2
        image = image.crop((left, top, left + side, top + side))
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=_COMPRESSION)
    return Square(buffer.getvalue(), width != height, "")


def _decode(content: bytes) -> "Image.Image":
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(content)) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I"):  # 16 bits of grey, which PIL would cut at 255
            image = Image.fromarray(np.rint(np.asarray(image, np.float64) / 257).astype(np.uint8))
        if image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        return image.convert("RGB")

"""The image decoder: encoded bytes become RGB, and what cannot be decoded one error."""

import io
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from difflab.core.base.errors import DifflabError


class UnreadableImage(DifflabError):
    """Bytes that are no image, or a damaged one."""


def decode_image(content: bytes, name: str) -> Image.Image:
    """An encoded image (PNG, JPEG, ...) as 8-bit RGB; `name` names it in an `UnreadableImage`.

    It is turned as its camera noted, 16 bits of grey are scaled to 8, and transparent pixels show white.
    """
    with _opened(content, name) as image:
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode.startswith("I"):  # 16 bits of grey, which PIL would cut at 255
            image = Image.fromarray(np.rint(np.asarray(image, np.float64) / 257).astype(np.uint8))
        if image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        return image.convert("RGB")


def image_size(content: bytes, name: str) -> tuple[int, int]:
    """Width and height that `decode_image` will give, from the image's header."""
    with _opened(content, name) as image:
        return _turned_size(image)


def check_image(content: bytes, name: str) -> tuple[int, int]:
    """Width and height of an image that is read to its end; the pixels of a JPEG are computed at an eighth."""
    with _opened(content, name) as image:
        size = _turned_size(image)
        image.draft("RGB", (image.width // 8, image.height // 8))
        image.load()
    return size


def _turned_size(image: Image.Image) -> tuple[int, int]:
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    return image.size[::-1] if turned else image.size


@contextmanager
def _opened(content: bytes, name: str) -> Generator[Image.Image]:
    try:
        with Image.open(io.BytesIO(content)) as image:
            yield image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        unknown = isinstance(error, UnidentifiedImageError)  # whose text is an address in memory
        reason = "of no known image format" if unknown else " ".join(str(error).split())
        raise UnreadableImage(f"unreadable: {name} ({reason})") from None

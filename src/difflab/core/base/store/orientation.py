"""How a picture is to be turned: EXIF says so, and where that holds no orientation XMP."""

import re
from typing import Any, TypeGuard

from PIL import ExifTags, Image

_ORIENTATION = ExifTags.Base.Orientation  # a tag of EXIF, and of TIFF
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|>)\s*([1-8])")
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def turned_as_loaded(image: Image.Image) -> bool:
    """Whether Pillow turns it as it loads it: a TIFF, by a tag of its own."""
    return _is_orientation(getattr(image, "tag_v2", {}).get(_ORIENTATION))


def orientation(image: Image.Image) -> int:
    """1 to 8 as in EXIF; 1 where it is damaged. Of a PNG this may read the pixels, behind which EXIF may stand."""
    try:
        found: Any = image.getexif().get(_ORIENTATION)
    except Exception:  # whatever Pillow raises over damaged EXIF: the pixels are whole
        found = None
    if not _is_orientation(found) and (match := _XMP_ORIENTATION.search(_bytes(image.info.get("xmp")))):
        found = int(match[1])
    return found if _is_orientation(found) else 1


def _is_orientation(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and 1 <= value <= 8


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else b""


def turned_size(image: Image.Image) -> tuple[int, int]:
    """Width and height once it is turned."""
    swapped = not turned_as_loaded(image) and orientation(image) >= 5  # Pillow turns a TIFF's own size
    return image.size[::-1] if swapped else image.size

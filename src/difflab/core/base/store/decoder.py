"""The image decoder: encoded bytes become 8-bit sRGB by one rule in every place, or one line says why not.

- It is turned once as its camera or editor noted: EXIF, where that holds no orientation XMP.
- Colours are converted to sRGB by the embedded ICC profile, or by the numbers that a PNG or an AVIF states in its place;
  what cannot be used is passed over, as viewers do.
- Transparent pixels show white, blended in sRGB, as does what the first frame of a GIF leaves free.
- 12 and 16 bits of grey are scaled to 8; grey in floating point is 0 to 1. Ranges that no file states are refused.
- Of several frames or pages the first counts. What a PNG holds beside its pixels is not looked at, however long it is.
- Truncated files, HDR, previews of camera raw files, pictures without pixels or of more than 100 megapixels and formats
  beyond `FORMATS` are refused.
"""

import io
import re
import warnings
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageChops, UnidentifiedImageError

from difflab.core.base.errors import Unreadable, reading
from difflab.core.base.files import stand_in
from difflab.core.base.store.orientation import TURNS, orientation, turned_as_loaded, turned_size
from difflab.core.base.store.stated_colours import stated_profile

if TYPE_CHECKING:
    from PIL import ImageCms

# Those that are known by their first bytes and need no other program.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "PPM", "TIFF", "AVIF", "JPEG2000", "ICO", "QOI")
MAX_PIXELS = 100_000_000
_BITS, _PHOTOMETRIC = 258, 262  # tags of TIFF
_SUBFILE, _DNG, _SAMPLE_FORMAT, _COMPRESSION, _PLANAR = 254, 50706, 339, 259, 284
_SIGNED = 2  # of `_SAMPLE_FORMAT`
_PLAIN, _APART = 1, 2  # of `_COMPRESSION` and `_PLANAR`
_PNG, _JP2 = b"\x89PNG\r\n\x1a\n", b"\0\0\0\x0cjP  \r\n\x87\n"
_PNG_TEXTS = (b"XML:com.adobe.xmp\0", b"Raw profile type ")  # that may hold an orientation
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")  # ISO 23008-12, B.4
_LARGEST = 16 * 1024**2  # bytes of a profile or a text; some have several MB
_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}  # of a profile, by the mode of pixels
_NO_RANGE = "32-bit or signed integers do not say what is white: save it with 8 or 16 bits"
_OTHERS = {  # what else is found under a picture's name, by its first bytes
    b"\xff\x0a": "of the format JPEG XL, which is not read: save it as JPEG or PNG",
    b"\0\0\0\x0cJXL ": "of the format JPEG XL, which is not read: save it as JPEG or PNG",
    b"8BPS": "of the format PSD, which is not read: save it as JPEG or PNG",
}


class UnreadableImage(Unreadable):
    """Bytes that are no image, a damaged one, or one whose pixels have no stated range."""


def decode_image(content: bytes, name: str, ground: str = "white") -> Image.Image:
    """An encoded image (one of `FORMATS`) as 8-bit sRGB without any metadata; `name` names it in an error.

    Transparent pixels show `ground`: white, but black for masks, where they are no part of what is meant.

    Raises:
        UnreadableImage: "unreadable: name (reason)".
    """
    with _opened(content, name) as image:
        turned_by_pillow, drawn = turned_as_loaded(image), _drawn(image)
        image.load()
        pixels, alpha = _channels(image, content)
        if drawn is not None:
            alpha = ImageChops.multiply(alpha, drawn) if alpha else drawn
        rgb = _srgb(pixels, _profile(image, content))
        if alpha is not None:
            rgb.putalpha(alpha)
            rgb = Image.alpha_composite(Image.new("RGBA", rgb.size, ground), rgb)
        rgb = rgb.convert("RGB")
        if not turned_by_pillow and (turn := TURNS.get(orientation(image))) is not None:
            rgb = rgb.transpose(turn)
        rgb.info = {}  # a profile or a transparent colour, written with the new pixels, would be applied twice
        return rgb


def image_size(content: bytes, name: str) -> tuple[int, int]:
    """Width and height that `decode_image` will give, from the image's header."""
    with _opened(content, name) as image:
        return turned_size(image)


def is_image(head: bytes) -> bool:
    """Whether a file starts as an image of `FORMATS` does; `head` is its first 32 bytes, or more."""
    if head.startswith((_PNG, b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"qoif")):
        return True
    if head[4:8] == b"ftyp":
        return head[8:12] in (b"avif", b"avis") or (head[8:12] == b"mif1" and b"avif" in head)
    return (
        (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[:2] == b"BM" and head[6:10] == bytes(4))
        or head[:12] == _JP2
        or head[:4] == b"\xff\x4f\xff\x51"
        or (head[:4] == b"\0\0\1\0" and len(head) > 9 and head[9] == 0)
        or re.match(rb"P[1-6fF]\s+(#|\d+\s)", head) is not None
    )


@contextmanager
def _opened(content: bytes, name: str) -> Generator[Image.Image]:
    with reading(name, kind=UnreadableImage), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about EXIF and sizes
        try:
            image = Image.open(io.BytesIO(_pixels_alone(content)), formats=FORMATS)
        except UnidentifiedImageError:  # whose text is an address in memory
            raise ValueError(_unknown(content)) from None
        except Image.DecompressionBombError:
            raise ValueError("it has more than 100 megapixels") from None
        with image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"it has {image.width * image.height / 1e6:,.0f} megapixels, more than 100")
            if not image.width * image.height:
                raise ValueError(f"it has {image.width} x {image.height} pixels")
            _check_tiff(image, content)
            if image.mode == "I" and image.format != "PPM":
                raise ValueError(_NO_RANGE)
            _profile(image, content)  # refuses HDR
            yield image


def _check_tiff(image: Image.Image, content: bytes) -> None:
    """Refuse previews, as camera raw files start with, and numbers that Pillow takes for others: signed, 16 bits apart."""
    if image.format != "TIFF":
        return
    if _SIGNED in (_tiff_tag(image, _SAMPLE_FORMAT) or ()):
        raise ValueError(_NO_RANGE)
    long = max(_tiff_tag(image, _BITS) or (8,)) > 8
    if (
        long
        and _tiff_tag(image, _PLANAR) == _APART
        and _tiff_tag(image, _COMPRESSION) == _PLAIN
        and image.mode[0] != "I"
    ):
        raise ValueError("its 16-bit channels lie one behind another, uncompressed: save it interleaved, or as PNG")
    subfile = _tiff_tag(image, _SUBFILE)
    if content[8:10] == b"CR" or _tiff_tag(image, _DNG) is not None or (isinstance(subfile, int) and subfile & 1):
        raise ValueError("its first picture is a preview, as in camera raw files: save it as JPEG or PNG")


def _unknown(content: bytes) -> str:
    if content[4:8] == b"ftyp" and content[8:12] in _HEIC:
        return "of the format HEIC, which is not read: save it as JPEG or PNG"
    if is_image(content[:32]):
        return "of a kind that is not read, or damaged at its beginning: save it as JPEG or PNG"
    known = (what for start, what in _OTHERS.items() if content.startswith(start))
    return next(known, stand_in(content[:64]) or "of no known image format")


def _pixels_alone(content: bytes) -> bytes:
    """A PNG without the chunks that say nothing of its pixels: Pillow refuses long and damaged ones, and the picture."""
    if not content.startswith(_PNG):
        return content
    from PIL import PngImagePlugin

    PngImagePlugin.MAX_TEXT_CHUNK = _LARGEST  # ty: ignore[invalid-assignment]
    # This is its limit for profiles too.
    kept, start, at = [], 0, len(_PNG)
    while at + 8 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4])
        kind = content[at + 4 : at + 8]
        if kind[0] & 0x20 and not _tells_of_pixels(kind, content[at + 8 : end - 4]):  # a capital letter: pixels
            kept.append(content[start:at])
            start = end
        at = end
    return b"".join([*kept, content[start:]]) if kept else content


def _tells_of_pixels(kind: bytes, data: bytes) -> bool:
    """Whether a chunk of a PNG says how its pixels are seen: transparency, orientation, a usable profile."""
    if kind in (b"tRNS", b"eXIf"):
        return True
    if kind in (b"tEXt", b"zTXt", b"iTXt"):
        packed = {b"tEXt": None, b"zTXt": rb"[^\0]+\0\0", b"iTXt": rb"[^\0]+\x00\x01\0[^\0]*\0[^\0]*\0"}[kind]
        return data.startswith(_PNG_TEXTS) and (packed is None or _is_small(data, packed, plain=kind == b"iTXt"))
    return kind == b"iCCP" and _is_small(data, rb"[^\0]{1,79}\0\0")


def _is_small(data: bytes, before: bytes, *, plain: bool = False) -> bool:
    """Whether what is packed behind the pattern `before` has a size that is read; `plain`: it need not be packed."""
    if (found := re.match(before, data)) is None:
        return plain
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(data[found.end() :], _LARGEST)
    except zlib.error:
        return False
    return not unpacking.unconsumed_tail


def _tiff_tag(image: Image.Image, tag: int) -> Any:
    return getattr(image, "tag_v2", {}).get(tag)


def _channels(image: Image.Image, content: bytes) -> tuple[Image.Image, Image.Image | None]:
    """The colours of a loaded image, 8-bit of a mode of `_SPACES`, and how opaque they are (L; None: wholly)."""
    mode, key = image.mode, image.info.get("transparency")
    if mode in ("LA", "La", "RGBA", "RGBa", "PA") or (mode == "P" and image.has_transparency_data):
        whole = image.convert("LA" if mode in ("LA", "La") else "RGBA")
        return whole.convert(whole.mode[:-1]), whole.getchannel("A")
    alpha = None
    if isinstance(key, int | tuple):  # one colour of a PNG, in its own bits
        bits = content[24] if content.startswith(_PNG) else 8
        alpha = _other_than(image, key, bits)
    if mode.startswith("I") or mode == "F":
        image = _grey(image)
    elif mode not in _SPACES:
        image = image.convert("L" if mode == "1" else "RGB")
    return image, alpha


def _drawn(image: Image.Image) -> Image.Image | None:
    """255 where the first frame of a GIF that is not yet loaded draws anything, else 0; None where it draws all."""
    tiles = getattr(image, "tile", ()) if image.format == "GIF" else ()
    if not tiles or tiles[0].extents == (0, 0, *image.size):
        return None
    drawn = Image.new("L", image.size, 0)
    drawn.paste(255, tiles[0].extents)
    return drawn


def _other_than(image: Image.Image, key: int | tuple[int, ...], bits: int) -> Image.Image:
    """0 where a pixel has the colour `key`, which has `bits` a channel, else 255; Pillow gives 8 bits but for I;16."""
    pixels = np.atleast_3d(np.asarray(image.convert("L") if image.mode == "1" else image))
    colour = np.atleast_1d(np.asarray(key, np.int64))
    if bits < 8:
        colour = colour * 255 // (2**bits - 1)
    elif bits == 16 and pixels.dtype == np.uint8:
        colour = colour >> 8
    return Image.fromarray(np.where((pixels == colour).all(2), 0, 255).astype(np.uint8))


def _grey(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits as L.

    Raises:
        ValueError: floating point beyond 0 to 1.
    """
    values, inverted = np.asarray(image), _tiff_tag(image, _PHOTOMETRIC) == 0
    if image.mode == "F":
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):  # NaN is neither
            raise ValueError(f"its values are {low:.4g} to {high:.4g}; those of floating point must be 0 to 1")
        grey = np.rint(values * np.float32(255)).astype(np.uint8)
    else:
        bits = _tiff_tag(image, _BITS)
        top = 2 ** (bits[0] if bits else 16) - 1
        grey = ((values.astype(np.uint32) * 255 + top // 2) // top).astype(np.uint8)
    return Image.fromarray(255 - grey if inverted else grey)


def _profile(image: Image.Image, content: bytes) -> bytes | None:
    return stated_profile(content, image.info.get("icc_profile") or _jpeg2000_profile(content))


def _jpeg2000_profile(content: bytes) -> bytes | None:
    """The profile in the box `colr` of a JPEG 2000 file (ISO 15444-1, I.5.3.3), which Pillow does not look for."""
    if not content.startswith(_JP2):
        return None
    at = content.find(b"colr\2", 0, max(content.find(b"jp2c"), 0))
    return content[at + 7 : at - 4 + int.from_bytes(content[at - 4 : at])] if at > 4 else None


def _srgb(pixels: Image.Image, profile: bytes | None) -> Image.Image:
    """8-bit pixels of a mode of `_SPACES` as RGB in sRGB."""
    from PIL import ImageCms

    modes = ("L", "RGB") if pixels.mode == "L" else (pixels.mode,)  # grey often keeps the profile of the colours it had
    for mode in modes if profile or pixels.mode == "LAB" else ():
        if (transform := _transform(profile, mode)) is not None:
            found = ImageCms.applyTransform(pixels if mode == pixels.mode else pixels.convert(mode), transform)
            assert found is not None  # it is None for a change in place alone
            return found
    return pixels.convert("RGB")


@lru_cache(maxsize=8)
def _transform(profile: bytes | None, mode: str) -> "ImageCms.ImageCmsTransform | None":
    """From a profile (None: of CIE Lab) for pixels of `mode` to sRGB; None where it changes nothing or does not fit."""
    from PIL import ImageCms

    srgb = ImageCms.createProfile("sRGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile) if profile else ImageCms.createProfile("LAB"))
        if source.profile.xcolor_space.strip() != _SPACES[mode]:
            return None
        transform = ImageCms.buildTransform(source, srgb, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return _transform(None, mode) if mode == "LAB" and profile else None
    if mode in ("L", "RGB"):  # sRGB itself, which most photographs carry: rounding would change single levels
        steps = np.arange(0, 256, 17, dtype=np.uint8)
        levels = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(64, 64, 3) if mode == "RGB" else steps[None]
        probe = Image.fromarray(levels)
        found = np.asarray(ImageCms.applyTransform(probe, transform), np.int64)
        if not np.ptp(found):  # of damaged primaries or curves: nothing would be seen
            return None
        if np.abs(found - np.asarray(probe.convert("RGB"), np.int64)).max() <= 1:
            return None
    return transform

"""Encoded pictures of unusual kinds, made byte by byte where Pillow writes none."""

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, PngImagePlugin

UNDO = {  # what brings an upright picture to how a camera stores it, by EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))  # D50
D50 = (0.9642, 1.0, 0.8249)


def saved(image: Image.Image, form: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=form, **options)
    return buffer.getvalue()


def smooth(width: int = 40, height: int = 24) -> Image.Image:
    """A picture that no lossy format changes much and that no turn leaves as it is."""
    colours = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    return Image.fromarray(colours).resize((width, height))


def turned(
    image: Image.Image, orientation: int, form: str, noted: str, told: tuple[int, int] | None = None, **options
) -> bytes:
    """`image` as a camera stores it, with its orientation, or what is `told` of it, `noted` in exif, in xmp, or in both."""
    stored = image.transpose(UNDO[orientation]) if orientation in UNDO else image
    in_exif, in_xmp = told or (orientation, orientation)
    exif = Image.Exif()
    if noted != "xmp":
        exif[0x0112] = in_exif
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{in_xmp}"/></x:xmpmeta>'
    if noted != "exif" and form == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", xmp)
        options["pnginfo"] = texts
    elif noted != "exif" and form == "TIFF":
        exif[700] = xmp.encode()
    elif noted != "exif":
        options["xmp"] = xmp.encode()
    return saved(stored, form, exif=exif, **options)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """A PNG with a chunk behind its header."""
    return png[:33] + chunk(kind, data) + png[33:]


def grey_png(values: np.ndarray, bits: int, clear: int | None = None) -> bytes:
    """A grey PNG of 1, 2, 4, 8 or 16 bits; `clear` is the value that is transparent. The width fills whole bytes."""
    height, width = values.shape
    if bits == 16:
        rows = [row.astype(">u2").tobytes() for row in values]
    else:
        flat = (values[..., None] >> np.arange(bits)[::-1]) & 1
        rows = [np.packbits(row.reshape(-1).astype(np.uint8)).tobytes() for row in flat]
    head = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    key = b"" if clear is None else chunk(b"tRNS", struct.pack(">H", clear))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + key + pixels + chunk(b"IEND", b"")


def icc_profile(primaries: Sequence[Sequence[float]] = ADOBE_RGB, gamma: float = 2.2, space: bytes = b"RGB ") -> bytes:
    """A matrix profile (ICC.1:2001), or with the space b"GRAY" one of a grey curve."""

    def fixed(values: Sequence[float]) -> bytes:
        return b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + bytes(78)
    tags = {b"desc": description, b"cprt": b"text\0\0\0\0none\0\0\0\0", b"wtpt": b"XYZ \0\0\0\0" + fixed(D50)}
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        for letter, primary in zip("rgb", primaries, strict=True):
            tags[f"{letter}XYZ".encode()] = b"XYZ \0\0\0\0" + fixed(primary)
            tags[f"{letter}TRC".encode()] = curve
    start, table, data = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for kind, value in tags.items():
        data += bytes(-len(data) % 4)
        table += kind + struct.pack(">II", start + len(data), len(value))
        data += value
    head = struct.pack(">I4sI4s4s4s", start + len(data), b"lcms", 0x02100000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(D50) + b"lcms"
    return head + bytes(128 - len(head)) + table + data

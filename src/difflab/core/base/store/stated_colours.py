"""Colours that a file states by numbers in place of a profile: a PNG's cICP, gAMA and cHRM, an AVIF's nclx."""

import math
import struct
import zlib
from collections.abc import Sequence

import numpy as np

_D65 = (0.3127, 0.3290)
_SRGB = (_D65, (0.640, 0.330), (0.300, 0.600), (0.150, 0.060))  # x and y of white, red, green and blue
_BT2020 = (_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
_P3 = (_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
# Code points of ITU-T H.273. Those that are left out are unknown, or so near sRGB that viewers take them for it.
_PRIMARIES = {9: _BT2020, 12: _P3}
_EXPONENTS = {4: 2.2, 5: 2.8, 8: 1.0}
_HDR = {16: "PQ", 18: "HLG"}
_GAMMAS = (0.3, 1.0)  # of gAMA: 1 over the exponent; others are mistakes
_NEAR = 0.05  # this near 1 / 2.2, gAMA means the curve of sRGB, as most programs that write it do
_LENGTHS = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50 = np.array([0.9642, 1.0, 0.8249])


def stated_profile(content: bytes, embedded: bytes | None) -> bytes | None:
    """The ICC profile of an encoded picture: the one `embedded`, or that of the numbers it states; None for sRGB.

    As a viewer of PNG (third edition, section 4.3) or AVIF does: cICP, then a profile, then sRGB, then gAMA with cHRM.

    Raises:
        ValueError: its colours are HDR, which eight bits of sRGB do not hold.
    """
    chunks = _chunks(content)
    if codes := chunks.get(b"cICP") or (b"" if embedded else _nclx(content)):
        if (kind := _HDR.get(codes[1])) is not None:
            raise ValueError(f"its colours are HDR ({kind}): save it as sRGB")
        return _profile(_PRIMARIES.get(codes[0], _SRGB), _EXPONENTS.get(codes[1]))
    if embedded or b"sRGB" in chunks or b"gAMA" not in chunks:
        return embedded
    gamma = int.from_bytes(chunks[b"gAMA"]) / 100_000
    if not _GAMMAS[0] <= gamma <= _GAMMAS[1]:
        return None
    numbers = np.array(struct.unpack(">8I", chunks[b"cHRM"])) / 100_000 if b"cHRM" in chunks else np.array(_SRGB)
    return _profile(numbers.reshape(4, 2).tolist(), None if abs(2.2 * gamma - 1) <= _NEAR else 1 / gamma)


def _chunks(content: bytes) -> dict[bytes, bytes]:
    """Those chunks of a PNG before its pixels that state colours, whole ones only."""
    found, at = {}, 8 if content.startswith(b"\x89PNG") else len(content)
    while at + 12 <= len(content) and (kind := content[at + 4 : at + 8]) != b"IDAT":
        end = at + 12 + int.from_bytes(content[at : at + 4])
        data, check = content[at + 8 : end - 4], content[end - 4 : end]
        if len(data) == _LENGTHS.get(kind) and int.from_bytes(check) == zlib.crc32(kind + data):
            found[kind] = data
        at = end
    return found


def _nclx(content: bytes) -> bytes:
    """Primaries and transfer of an AVIF in its box `colr` (ISO 14496-12, 12.1.5); empty where it has none."""
    if content[4:8] != b"ftyp" or (at := content.find(b"colrnclx")) < 0:
        return b""
    return bytes(min(code, 255) for code in struct.unpack(">HH", content[at + 8 : at + 12].ljust(4, b"\0")))


def _profile(places: Sequence[Sequence[float]], exponent: float | None) -> bytes | None:
    """An ICC profile (ICC.1:2001) of primaries and a curve; None where they span no colours.

    Args:
        places: x and y of white, red, green and blue.
        exponent: from values to light; None is the curve of sRGB.
    """
    if any(y <= 0 for _, y in places):
        return None
    white, *primaries = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in places)
    columns = np.stack(primaries, 1)
    if abs(np.linalg.det(columns)) < 1e-6:
        return None
    columns = columns * np.linalg.solve(columns, white)
    to_d50 = np.linalg.solve(_BRADFORD, np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white)) @ _BRADFORD)
    if exponent is None:
        values = np.linspace(0, 1, 1024)
        light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        curve = struct.pack(">I", 1024) + np.rint(light * 65535).astype(">u2").tobytes()
    else:
        curve = struct.pack(">IHH", 1, round(exponent * 256), 0)
    tags = {b"wtpt": _xyz(_D50)}
    tags |= {name + b"XYZ": _xyz(column) for name, column in zip((b"r", b"g", b"b"), (to_d50 @ columns).T, strict=True)}
    tags |= {name + b"TRC": b"curv\0\0\0\0" + curve for name in (b"r", b"g", b"b")}
    table, data = struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(data), len(tag))
        data += tag
    head = struct.pack(">I4sI12s", 132 + 12 * len(tags) + len(data), b"", 0x02100000, b"mntrRGB XYZ ")
    return (head + bytes(12) + b"acsp" + bytes(28) + _xyz(_D50)[8:]).ljust(128, b"\0") + table + data


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(math.floor(value * 65536 + 0.5) for value in values.tolist()))

"""Files damaged at random, and what reading them leads to."""

import random
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from difflab.core.base.errors import DifflabError

Reader = Callable[[Path], object]
Case = tuple[bytes, Reader]
COUNTS = [250, pytest.param(12_500, marks=[pytest.mark.long, pytest.mark.timeout(14_400)])]
"""Damaged inputs of each kind: 2,000 and 100,000 over the eight kinds of both test modules."""


def in_place(file: Path, read: Callable[[], object]) -> Case:
    """A file that is damaged where it lies, among others that are whole."""
    whole = file.read_bytes()

    def reader(path: Path) -> None:
        file.unlink()  # other names of it, and what is mapped into memory, keep their bytes
        file.write_bytes(path.read_bytes())
        try:
            read()
        finally:
            file.unlink()
            file.write_bytes(whole)

    return whole, reader


def damaged(content: bytes, rng: random.Random) -> bytes:
    """A file with flipped bits, other bytes, a part cut out, doubled, or cut off."""
    result = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
        if not result:
            break
        at, kind = rng.randrange(len(result)), rng.randrange(6)
        length = min(rng.choice((1, 2, 4, 16)), len(result) - at)
        if kind == 0:
            result[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            result[at : at + length] = rng.randbytes(length)
        elif kind == 2:
            result[at : at + length] = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * length
        elif kind == 3:
            del result[at : at + length]
        elif kind == 4:
            result[at:at] = result[at : at + length]
        else:
            del result[at:]
    return bytes(result)


def unforeseen(read: Reader, path: Path) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(path)
    except DifflabError as error:
        return f"two lines: {error}" if "\n" in str(error) else None
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def check(kind: str, cases: list[Case], count: int, folder: Path) -> None:
    """Read whole files, then `count` damaged ones, each of which must be read or refused in one line."""
    for content, read in cases:
        (folder / "file").write_bytes(content)
        read(folder / "file")
    found = []
    for number in range(count):
        content, read = cases[number % len(cases)]
        (folder / "file").write_bytes(damaged(content, random.Random(f"{kind} {number}")))
        if problem := unforeseen(read, folder / "file"):
            found.append((number, number % len(cases), problem))
    assert not found, found[:10]

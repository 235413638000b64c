"""The text tables of CelebA and CelebA-HQ, read line by line; a wrong line is named by file and number."""

from collections.abc import Iterator
from typing import IO

import numpy as np
import pandas as pd

from difflab.core.base.errors import DifflabError


def read_attributes(stream: IO[bytes], name: str) -> pd.DataFrame:
    """Read an attribute table: a count, a line of names, then `<file> <1 or -1> ...` a row.

    Returns:
        bool DataFrame, one row per file in table order (index: file name), one column per attribute.

    Raises:
        DifflabError: a ragged row, a value other than 1 and -1, a file listed twice, or a wrong count.
    """
    lines = _lines(stream, name)
    count = _count(lines, name)
    names = _header(lines, name)
    files: list[str] = []
    rows = bytearray()
    for number, fields in lines:
        if len(fields) != len(names) + 1:
            raise DifflabError(
                f"{name}, line {number}: {len(fields) - 1} values for {len(names)} attributes; correct it"
            )
        for value in fields[1:]:
            if value not in _VALUES:
                raise DifflabError(f"{name}, line {number}: the value '{value}' is neither 1 nor -1")
            rows.append(_VALUES[value])
        files.append(fields[0])
    _check_rows(files, count, name)
    table = np.frombuffer(bytes(rows), np.uint8).reshape(-1, len(names)).astype(bool)
    return pd.DataFrame(table, index=pd.Index(files, name="file"), columns=names)


def read_boxes(stream: IO[bytes], name: str) -> dict[str, tuple[int, int, int, int]]:
    """Read CelebA's face boxes: a count, a line of names, then `<file> x y width height` a row, in pixels."""
    lines = _lines(stream, name)
    count = _count(lines, name)
    _header(lines, name)
    boxes: dict[str, tuple[int, int, int, int]] = {}
    number = 2
    for number, fields in lines:
        if len(fields) != 5:
            raise DifflabError(f"{name}, line {number}: {len(fields) - 1} values for a box of 4; correct the table")
        x, y, width, height = (_integer(value, name, number) for value in fields[1:])
        boxes[fields[0]] = x, y, width, height
    _check_rows(list(boxes), count, name)
    return boxes


def read_mapping(stream: IO[bytes], name: str) -> dict[int, str]:
    """Read CelebA-HQ's mapping (`idx orig_idx orig_file` with a header): HQ number -> CelebA file name."""
    lines = _lines(stream, name)
    _header(lines, name)
    mapping: dict[int, str] = {}
    for number, fields in lines:
        if len(fields) != 3:
            raise DifflabError(f"{name}, line {number}: {len(fields)} columns instead of 3; correct the table")
        mapping[_integer(fields[0], name, number)] = fields[2]
    return mapping


_VALUES = {"1": 1, "-1": 0}


def _lines(stream: IO[bytes], name: str) -> Iterator[tuple[int, list[str]]]:
    """(line number from 1, fields) of every line that is not blank."""
    for number, line in enumerate(stream, start=1):
        try:
            fields = line.decode("utf-8-sig" if number == 1 else "utf-8").split()
        except UnicodeDecodeError:
            raise DifflabError(f"{name}, line {number}: not UTF-8 text; is it the right file?") from None
        if fields:
            yield number, fields


def _header(lines: Iterator[tuple[int, list[str]]], name: str) -> list[str]:
    for _, fields in lines:
        return fields
    raise DifflabError(f"{name} ends before its line of column names: fetch the archive again")


def _count(lines: Iterator[tuple[int, list[str]]], name: str) -> int:
    for number, fields in lines:
        if len(fields) == 1:
            return _integer(fields[0], name, number)
        break
    raise DifflabError(f"{name}, line 1: the number of rows is missing; is it the right file?")


def _integer(value: str, name: str, number: int) -> int:
    try:
        return int(value)
    except ValueError:
        raise DifflabError(f"{name}, line {number}: '{value}' is not a whole number") from None


def _check_rows(files: list[str], count: int, name: str) -> None:
    if len(files) != count:
        raise DifflabError(f"{name}, line 1: it announces {count} rows, the file has {len(files)}; fetch it again")
    seen: set[str] = set()
    for file in files:
        if file in seen:
            raise DifflabError(f"{name} lists {file} twice: correct the table")
        seen.add(file)

"""The text tables of CelebA and CelebA-HQ, read line by line; a wrong line is named by file and number."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive

_VALUES = {"1": 1, "-1": 0}


def read_attributes(archive: "Archive", ending: str, form: str) -> pd.DataFrame:
    """An attribute table: a count, a line of names, then `<number>.jpg <1 or -1> ...` a row.

    Args:
        ending: where the table lies below the archive's top folder.
        form: the id of an image by its number, e.g. "hq-{:05d}".

    Returns:
        By id, ascending: the column file, then one bool column per attribute.
    """
    name = archive.locate(ending) + ending
    lines = read_rows(archive, name)
    _, names = next(lines)
    ids: list[str] = []
    files: list[str] = []
    rows = bytearray()
    for number, (file, *values) in lines:
        stem = PurePosixPath(file).stem
        if not stem.isdecimal():
            raise DifflabError(f"{name}, line {number}: the name of '{file}' is not a number; is it the right table?")
        if wrong := [value for value in values if value not in _VALUES]:
            raise DifflabError(f"{name}, line {number}: the value '{wrong[0]}' is neither 1 nor -1")
        ids.append(form.format(int(stem)))
        files.append(file)
        rows.extend(_VALUES[value] for value in values)
    attributes = np.frombuffer(bytes(rows), np.uint8).reshape(-1, len(names)).astype(bool)
    table = pd.DataFrame(attributes, index=pd.Index(ids, name="id"), columns=names)
    table.insert(0, "file", files)
    return table.sort_index()


def read_rows(
    archive: "Archive", name: str, width: int | None = None, counted: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields) of the column names, then of each row.

    Args:
        width: the fields of a row; None: one more than names.
        counted: whether the number of rows stands above the names.
    """
    lines = _lines(archive, name)
    count = None
    if counted:
        number, fields = next(lines, (1, []))
        if len(fields) != 1:
            raise DifflabError(f"{name}, line 1: the number of rows is missing; is it the right file?")
        count = whole_number(fields[0], name, number)
    header = next(lines, None)
    if header is None:
        raise DifflabError(f"{name} ends before its line of column names: fetch the archive again")
    yield header
    width = width or len(header[1]) + 1
    seen: set[str] = set()
    for number, fields in lines:
        if len(fields) != width:
            raise DifflabError(f"{name}, line {number}: {len(fields)} columns instead of {width}; correct the table")
        if fields[0] in seen:
            raise DifflabError(f"{name}, line {number}: it lists {fields[0]} twice; correct the table")
        seen.add(fields[0])
        yield number, fields
    if count not in (None, len(seen)):
        raise DifflabError(f"{name}, line 1: it announces {count} rows, the file has {len(seen)}; fetch it again")


def _lines(archive: "Archive", name: str) -> Iterator[tuple[int, list[str]]]:
    """(line number from 1, fields) of every line that is not blank."""
    for number, line in enumerate(archive.read(name).split(b"\n"), start=1):
        try:
            fields = line.decode("utf-8-sig" if number == 1 else "utf-8").split()
        except UnicodeDecodeError:
            raise DifflabError(f"{name}, line {number}: not UTF-8 text; is it the right file?") from None
        if fields:
            yield number, fields


def whole_number(value: str, name: str, number: int) -> int:
    """The value of a field; `name` and `number` tell its line in the error."""
    try:
        return int(value)
    except ValueError:
        raise DifflabError(f"{name}, line {number}: '{value}' is not a whole number") from None

"""Recipes as Kaggle's "Food Ingredients and Recipes Dataset with Images" lists them: a csv beside "Food Images".

Of the csv's columns two are read: Title, and Image_Name, which is the name of an image without its ending.
Source: https://www.kaggle.com/datasets/pes12017000148/food-ingredients-and-recipe-dataset-with-images
"""

import csv
import io
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from difflab.core.base.errors import DifflabError
from difflab.core.base.store.captions import has_word
from difflab.images.archives.folder import composed
from difflab.images.archives.pictures import is_named_picture, pass_over_others
from difflab.images.sets.formats.rows import Captioned, clean, decoded_text

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive

FOLDER = "Food Images"
COLUMNS = ("Image_Name", "Title")
_UNNAMED = ("", "#NAME?")  # what a spreadsheet left of names that begin like a formula
_NO_TITLE = ("", "nan")
_REASONS = {"untitled": "Title", "unnamed": "Image_Name"}  # why a row is dropped, and the column that is to blame
_LONGEST_TITLE = 1000  # the longest of 2,084 published ones has 112
_SHOWN = 10  # rows that a message names


def read(archive: "Archive", dropped: dict[str, int] | None = None) -> dict[str, list[Captioned]]:
    """All recipes as the split train, numbered from 0 in the order of the csv, each with its title as caption.

    Rows without a Title or without an Image_Name are dropped and said, as the official csv has some; their numbers
    stay free. A message counts rows as spreadsheets do: the line of column names is row 1.

    Args:
        dropped: takes the numbers of rows `untitled` and `unnamed`, where there are any. A row of both is untitled.

    Raises:
        DifflabError: there is no csv of recipes, or half of its rows are to be dropped.
    """
    tables = [name for name in archive.names() if name.lower().endswith(".csv")]
    if len(tables) != 1:
        problem = f"{len(tables)} csv files: keep one" if tables else f"no csv of recipes: put it beside {FOLDER}"
        raise DifflabError(f"{archive.path} has {problem}")
    rows = _rows(archive, tables[0])
    where = f"{archive.path}: {tables[0]}"
    _check(rows, where)
    reasons = [_reason(image, title) for _, image, title in rows]
    _say_dropped([(row, reason) for (row, _, _), reason in zip(rows, reasons, strict=True) if reason], len(rows), where)
    if dropped is not None:
        dropped.update({reason: reasons.count(reason) for reason in _REASONS if reason in reasons})
    files = _images(archive)
    folder = PurePosixPath(tables[0]).parent / FOLDER
    found = [
        Captioned(number, files.get(composed(image).casefold(), str(folder / f"{image}.jpg")), (title,))
        for number, (_, image, title) in enumerate(rows)
        if not reasons[number]
    ]
    pass_over_others(archive, {tables[0], *(recipe.file for recipe in found)})
    return {"train": found}


def _images(archive: "Archive") -> dict[str, str]:
    """The images by their names without ending; they lie at whatever depth: Kaggle packs their folder into one of its name.

    Raises:
        DifflabError: two of one name differ.
    """
    found: dict[str, str] = {}
    for name in archive.names():
        path = PurePosixPath(name)
        if is_named_picture(name) and path.parent.name.casefold() == FOLDER.casefold():
            other = found.setdefault(path.stem.casefold(), name)
            if other != name and archive.read(other) != archive.read(name):
                raise DifflabError(
                    f"{archive.path}: {other} and {name} are two images of one name: rename or remove one"
                )
    return found


def _rows(archive: "Archive", name: str) -> list[tuple[int, str, str]]:
    """(row, Image_Name, Title) of every row that is not blank."""
    where = f"{archive.path}: {name}"
    text = decoded_text(archive.read(name), where)
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise DifflabError(f"{where} is not a csv ({error}): fetch it again") from None
    columns = table[0] if table else []
    if absent := [column for column in COLUMNS if column not in columns]:
        raise DifflabError(
            f"{where} has no column {' and no column '.join(absent)}, only {', '.join(columns) or 'none'}: "
            "is it the csv of recipes?"
        )
    image, title = map(columns.index, COLUMNS)
    rows = [(row, values) for row, values in enumerate(table[1:], start=2) if values]
    for row, values in rows:
        if len(values) != len(columns):
            raise DifflabError(f"{where}, row {row}: {len(values)} values for {len(columns)} columns; correct it")
    return [(row, values[image].strip(), clean(values[title])) for row, values in rows]


def _reason(image: str, title: str) -> str:
    """Why a row is dropped, one of `_REASONS`, or nothing."""
    if title.lower() in _NO_TITLE or not has_word(title):
        return "untitled"
    return "unnamed" if image in _UNNAMED else ""


def _say_dropped(rows: list[tuple[int, str]], count: int, where: str) -> None:
    """A line for each reason why some of `count` rows are dropped; a DifflabError where they are half of them."""
    for reason, column in _REASONS.items():
        if found := [row for row, own in rows if own == reason]:
            shown = ", ".join(map(str, found[:_SHOWN])) + (", ..." if len(found) > _SHOWN else "")
            line = f"{where}: {len(found):,} of {count:,} rows have no {column} (row {shown})"
            if 2 * len(rows) >= count:
                raise DifflabError(f"{line}: write it, or remove them")
            print(f"{line} and are left out", flush=True)


def _check(rows: list[tuple[int, str, str]], where: str) -> None:
    """Refuse rows with a whole text for a title, and rows about the same image."""
    if long := [row for row, _, title in rows if len(title) > _LONGEST_TITLE]:
        raise DifflabError(
            f"{where}: the Title of row {long[0]} has more than {_LONGEST_TITLE:,} characters: is a quotation mark "
            "missing there? correct it"
        )
    first: dict[str, int] = {}
    for row, image, _ in rows:
        if image not in _UNNAMED and first.setdefault(image, row) != row:
            raise DifflabError(f"{where}: rows {first[image]} and {row} have the same Image_Name '{image}'; correct it")

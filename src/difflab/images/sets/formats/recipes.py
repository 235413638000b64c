"""Recipes as Kaggle's "Food Ingredients and Recipes Dataset with Images" lists them: a csv beside "Food Images".

Of the csv's columns two are read: Title, and Image_Name, which is the name of a jpg without its ending.
Source: https://www.kaggle.com/datasets/pes12017000148/food-ingredients-and-recipe-dataset-with-images
"""

import csv
import io
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from difflab.core.base.errors import DifflabError
from difflab.core.base.store.captions import has_word
from difflab.images.sets.formats.rows import Captioned, clean

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive

FOLDER = "Food Images"
COLUMNS = ("Image_Name", "Title")
_UNNAMED = ("", "#NAME?")  # what a spreadsheet left of names that begin like a formula
_NO_TITLE = ("", "nan")
_LONGEST_TITLE = 1000  # the longest of 2,084 published ones has 112
_SHOWN = 10  # rows that a message names


def read(archive: "Archive") -> dict[str, list[Captioned]]:
    """All recipes as the split train, numbered from 0 in the order of the csv, each with its title as caption.

    Rows whose Image_Name was lost have a file that no archive holds. A message counts rows as spreadsheets do:
    the line of column names is row 1.
    """
    tables = [name for name in archive.names() if name.lower().endswith(".csv")]
    if len(tables) != 1:
        problem = f"{len(tables)} csv files: keep one" if tables else f"no csv of recipes: put it beside {FOLDER}"
        raise DifflabError(f"{archive.path} has {problem}")
    rows = _rows(archive, tables[0])
    _check(rows, f"{archive.path}: {tables[0]}")
    # The images lie at whatever depth: Kaggle packs their folder into one of the same name.
    paths = [PurePosixPath(name) for name in archive.names() if name.endswith(".jpg")]
    files = {path.stem: path for path in paths if path.parent.name == FOLDER}
    folder = PurePosixPath(tables[0]).parent / FOLDER
    return {
        "train": [
            Captioned(number, str(files.get(image, folder / f"{image}.jpg")), (title,))
            for number, (_, image, title) in enumerate(rows)
        ]
    }


def _rows(archive: "Archive", name: str) -> list[tuple[int, str, str]]:
    """(row, Image_Name, Title) of every row that is not blank."""
    where = f"{archive.path}: {name}"
    try:
        text = archive.read(name).decode("utf-8-sig")
        table = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except UnicodeDecodeError:
        raise DifflabError(f"{where} is not UTF-8 text: save it as such") from None
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


def _check(rows: list[tuple[int, str, str]], where: str) -> None:
    """Refuse rows without a title or with a whole text for one, and rows about the same image."""
    if missing := [row for row, _, title in rows if title.lower() in _NO_TITLE or not has_word(title)]:
        shown = ", ".join(map(str, missing[:_SHOWN])) + (", ..." if len(missing) > _SHOWN else "")
        raise DifflabError(
            f"{where}: {len(missing)} of {len(rows)} rows have no Title (row {shown}): write it, or remove them"
        )
    if long := [row for row, _, title in rows if len(title) > _LONGEST_TITLE]:
        raise DifflabError(
            f"{where}: the Title of row {long[0]} has more than {_LONGEST_TITLE:,} characters: is a quotation mark "
            "missing there? correct it"
        )
    first: dict[str, int] = {}
    for row, image, _ in rows:
        if image not in _UNNAMED and first.setdefault(image, row) != row:
            raise DifflabError(f"{where}: rows {first[image]} and {row} have the same Image_Name '{image}'; correct it")

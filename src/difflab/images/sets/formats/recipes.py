"""Recipes as Kaggle's "Food Ingredients and Recipes Dataset with Images" lists them: a csv beside "Food Images".

Of the csv's columns two are read: Title, and Image_Name, which is the name of a jpg without its ending.
Source: https://www.kaggle.com/datasets/pes12017000148/food-ingredients-and-recipe-dataset-with-images
"""

import csv
import io
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from difflab.core.base.errors import DifflabError
from difflab.images.sets.formats.captioned import Captioned, clean

if TYPE_CHECKING:
    from difflab.images.archives.archive import Archive

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

    Raises:
        DifflabError: there is not one csv, a column is missing, titles are, or an Image_Name occurs twice.
    """
    name = _table(archive)
    where = f"{archive.path}: {name}"
    files = _files(archive)
    folder = f"{name.rpartition('/')[0]}/{FOLDER}/".removeprefix("/")
    rows = list(_rows(archive, name, where))
    _check(rows, where)
    return {
        "train": [
            Captioned(number, files.get(image, f"{folder}{image}.jpg"), (title,))
            for number, (_, image, title) in enumerate(rows)
        ]
    }


def _table(archive: "Archive") -> str:
    """The one csv of the archive."""
    found = [name for name in archive.names() if name.lower().endswith(".csv")]
    found = [name for name in found if not name.startswith("__MACOSX/")]
    if len(found) != 1:
        problem = f"{len(found)} csv files: keep one" if found else f"no csv of recipes: put it beside {FOLDER}"
        raise DifflabError(f"{archive.path} has {problem}")
    return found[0]


def _files(archive: "Archive") -> dict[str, str]:
    """The images by Image_Name, at whatever depth their folder lies: Kaggle packs it into one of the same name."""
    paths = [PurePosixPath(name) for name in archive.names() if name.endswith(".jpg")]
    return {path.stem: str(path) for path in paths if path.parent.name == FOLDER and path.parts[0] != "__MACOSX"}


def _rows(archive: "Archive", name: str, where: str) -> Iterator[tuple[int, str, str]]:
    """(row, Image_Name, Title) of every row that is not blank."""
    with archive.open(name) as stream, io.TextIOWrapper(stream, "utf-8-sig", newline="") as text:
        reader = enumerate(csv.reader(text, strict=True), start=1)
        try:
            columns = next(reader, (1, []))[1]
            if absent := [column for column in COLUMNS if column not in columns]:
                raise DifflabError(
                    f"{where} has no column {' and no column '.join(absent)}, only {', '.join(columns) or 'none'}: "
                    "is it the csv of recipes?"
                )
            image, title = map(columns.index, COLUMNS)
            for row, values in reader:
                if not values:
                    continue
                if len(values) != len(columns):
                    raise DifflabError(
                        f"{where}, row {row}: {len(values)} values for {len(columns)} columns; correct it"
                    )
                yield row, values[image].strip(), clean(values[title])
        except UnicodeDecodeError:
            raise DifflabError(f"{where} is not UTF-8 text: save it as such") from None
        except csv.Error as error:
            raise DifflabError(f"{where} is not a csv ({error}): fetch it again") from None


def _check(rows: list[tuple[int, str, str]], where: str) -> None:
    """Refuse rows without a title or with a whole text for one, and rows about the same image."""
    if missing := [row for row, _, title in rows if title.lower() in _NO_TITLE]:
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

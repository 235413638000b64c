"""A person's own folder of images: with a table of captions, with texts beside the images, or with a folder for each class.

    train/metadata.jsonl   {"file_name": "a.png", "text": "a cat"}, one row a caption; or metadata.csv, metadata.parquet
    train/a.png

    train/a.png, train/a.txt       one caption a line (a.caption too)
    train/Siamese_cat/a.png        the class is the caption: "Siamese cat"

The first of the three that a folder has counts. Several rows with the same file name are several captions of that image; an
empty text is none. `text`, `caption`, and `captions` with a list, are read, or the column that a parameter names. The
column `split` says the split, else folders do (`splits`). Images that no table names, or without a text, are passed over;
texts are UTF-8, or UTF-16 with its mark.
Source: https://huggingface.co/docs/datasets/image_dataset#imagefolder
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from difflab.core.base.errors import DifflabError, printable, reading
from difflab.core.base.files import write_bytes, write_text
from difflab.images.archives.pictures import NO_CAPTION, list_pictures, pass_over_others
from difflab.images.sets.formats.rows import Captioned, clean, decoded_text, once_each
from difflab.images.sets.formats.splits import split_named, splits_of, two_splits

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive

METADATA, FILE_NAME = "metadata.jsonl", "file_name"
TABLES = (METADATA, "metadata.csv", "metadata.parquet")
TEXTS = (".txt", ".caption")
NO_IMAGE = "caption without an image"
_COLUMNS = ("text", "caption", "captions")
_PARAMETER = "images.caption_column"

Captions = dict[str, list[str]]  # by the image's path in the archive
Row = tuple[str, str, dict[str, Any]]  # where it stands, the image's path in the archive, its values by column


def write(folder: Path, images: Iterable[tuple[str, bytes, Sequence[str]]]) -> int:
    """Write (file name, encoded image, captions) and their metadata.jsonl, in order; the number of images."""
    rows, count = [], 0
    for file, content, captions in images:
        write_bytes(folder / file, content)
        rows += [json.dumps({"file_name": file, "text": text}, ensure_ascii=False) for text in captions or ("",)]
        count += 1
    write_text(folder / METADATA, "".join(f"{row}\n" for row in rows))
    return count


def read(archive: "Archive", column: str | None = None) -> dict[str, list[Captioned]]:
    """The images of each split, numbered in the order in which the tables name them first, or by name.

    Args:
        column: of the captions in tables; None: the only one of text, caption and captions.
    """
    rows = list(named_rows(archive))
    found = _by_tables(archive, rows, column) or texts_beside(archive) or _by_classes(archive)
    if not found:
        raise DifflabError(
            f"{archive.path} has no captions: write a {METADATA} or metadata.csv (file_name, text), "
            "a .txt beside each image, or put the images into a folder for each class"
        )
    said = splits_of(found) | {file: split for where, file, row in rows if (split := row_split(row, where))}
    splits: dict[str, list[Captioned]] = {}
    for file, texts in found.items():
        images = splits.setdefault(said.get(file, "train"), [])
        images.append(Captioned(len(images), file, tuple(texts)))
    files = {split: [image.file for image in images] for split, images in splits.items()}
    told = two_splits(splits, archive, files)
    stems = stems_of(found)
    pass_over_others(archive, {*found, *(name for name in archive.names() if tells(name, stems))})
    return told


def tells(name: str, stems: Mapping[str, list[str]]) -> bool:
    """Whether a file is a table, or a text beside one of the pictures whose `stems_of` are given."""
    return PurePosixPath(name).name.lower() in TABLES or bool(_beside(name, stems))


def captions(archive: "Archive", column: str | None = None) -> Captions:
    """The captions of the first two kinds; empty where there are none. Of a table they may be of files that are absent."""
    return _by_tables(archive, named_rows(archive), column) or texts_beside(archive)


def _by_tables(archive: "Archive", rows: Iterable[Row], column: str | None) -> Captions:
    found: Captions = {}
    for where, file, row in rows:
        found.setdefault(file, []).extend(_texts(row, where, column))
    if found:
        archive.pass_over(NO_CAPTION, [n for n in list_pictures(archive) if n not in found])
    return found


def row_split(row: Mapping[str, Any], where: str) -> str | None:
    """The split that the column of this name says; None where it is absent or empty."""
    said = row.get("split")
    if said is None or not str(said).strip():
        return None
    if split := split_named(str(said).strip()):
        return split
    raise DifflabError(f"{where}: 'split' is '{printable(said)}', which is none of train, val and test; correct it")


def named_rows(archive: "Archive") -> Iterator[Row]:
    """Every row of all tables, one table a folder."""
    tables: dict[str, str] = {}
    for name in sorted(archive.names()):
        path = PurePosixPath(name)
        if path.name.lower() in TABLES and (other := tables.setdefault(str(path.parent), name)) != name:
            raise DifflabError(f"{archive.path} has {other} and {name}: keep one")
    for name in tables.values():
        for where, row in _rows(archive, name):
            if isinstance(row, dict):  # pandas writes what is missing as NaN
                row = {key: None if value != value else value for key, value in row.items()}
            path = str(PurePosixPath(name).parent / _file(row, where))
            yield where, archive.find(path) or path, row


def _rows(archive: "Archive", name: str) -> Iterator[tuple[str, Any]]:
    """(where it stands, row) of every row of a table that is not blank."""
    content, where = archive.read(name), f"{archive.path}: {name}"
    if name.lower().endswith(".parquet"):
        import pyarrow.parquet as pq

        with reading(where, "write it again"):
            rows = pq.read_table(io.BytesIO(content)).to_pylist()
        yield from ((f"{where}, row {number}", row) for number, row in enumerate(rows, start=1))
    elif name.lower().endswith(".csv"):
        with reading(where, "correct it, and save it as a csv with commas"):
            table = list(_csv_rows(decoded_text(content, where)))
        yield from ((f"{where}, row {number}", row) for number, row in table)
    else:
        for number, line in enumerate(decoded_text(content, where).split("\n"), start=1):
            if line.strip():
                with reading(f"{where}, line {number}", "not JSON; correct it"):
                    row = json.loads(line, object_pairs_hook=once_each)
                yield f"{where}, line {number}", row


def _csv_rows(text: str) -> Iterator[tuple[int, dict[str | None, Any]]]:
    """(number, row) of the rows of a csv with commas, semicolons or tabs that are not blank; spreadsheets leave some."""
    head = next(csv.reader(io.StringIO(text, newline="")), [""])
    joined = ",".join(head)
    delimiter = next((d for d in ",;\t" if FILE_NAME in map(str.strip, joined.split(d))), ",")
    table = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    names = [name.strip() for name in table.fieldnames or ()]
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise ValueError(f"two columns '{twice[0]}'")
    table.fieldnames = names
    for number, row in enumerate(table, start=2):
        if any(any(value) if isinstance(value, list) else value for value in row.values()):
            yield number, row


def _file(row: Any, where: str) -> PurePosixPath:
    """The file that a row is about."""
    if not isinstance(row, dict) or not isinstance(row.get(FILE_NAME), str) or not row[FILE_NAME].strip():
        there = f" (there is {', '.join(map(str, row))})" if isinstance(row, dict) and FILE_NAME not in row else ""
        raise DifflabError(f"{where}: there is no '{FILE_NAME}'{printable(there)}; correct it")
    if None in row:
        raise DifflabError(f"{where}: it has more values than there are columns; correct it")
    name = row[FILE_NAME].replace("\\", "/")
    file = PurePosixPath(name)
    if file.is_absolute() or ".." in file.parts or re.match(r"[A-Za-z]:", name):
        raise DifflabError(f"{where}: '{printable(file)}' leads out of the folder; correct it")
    if printable(name) != name or not file.name:
        raise DifflabError(f"{where}: '{printable(name)}' cannot be the name of a file; correct it")
    return file


def _texts(row: dict[str, Any], where: str, column: str | None) -> list[str]:
    """The captions of a row."""
    known = (column,) if column else _COLUMNS
    found = [name for name in known if name in row]
    if len(found) != 1:
        other = ", ".join(name for name in row if name not in ("file_name", *known)) or "nothing else"
        raise DifflabError(
            f"{where}: there must be one of {', '.join(known)}, not {len(found)}; correct it, or name the column in "
            f"{_PARAMETER} (there is {printable(other)})"
        )
    return [text for text in map(clean, texts_of(row, found[0], where)) if text]


def texts_of(row: Mapping[str, Any], name: str, where: str) -> list[str]:
    """The texts of a column of captions: one, several in a list, or none."""
    value = row.get(name)
    texts = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(text, str) for text in texts):
        raise DifflabError(f"{where}: '{name}' is not a text or a list of texts; correct it")
    return texts


def texts_beside(archive: "Archive") -> Captions:
    """The captions of pictures that have a text of their name beside them; other pictures are passed over."""
    named = sorted(name for name in archive.names() if name.lower().endswith(TEXTS))
    pictures = list_pictures(archive) if named else []
    shown = set(pictures)
    texts = [name for name in named if name not in shown]
    stems = stems_of(pictures)
    found: Captions = {}
    for name in texts:
        beside = _beside(name, stems)
        if len(beside) > 1:
            raise DifflabError(f"{archive.path}: {name} stands beside {' and '.join(beside)}: rename one of them")
        if beside:
            lines = re.split(r"\r\n?|\n", decoded_text(archive.read(name), f"{archive.path}: {name}"))
            found.setdefault(beside[0], []).extend(text for text in map(clean, lines) if text)
    if found:
        archive.pass_over(NO_CAPTION, [name for name in pictures if name not in found])
        archive.pass_over(NO_IMAGE, [name for name in texts if not _beside(name, stems)])
    return dict(sorted(found.items()))


def stems_of(pictures: Iterable[str]) -> dict[str, list[str]]:
    """Pictures by what a text beside them may be called before its ending: `a` or `a.png`, in any case."""
    stems: dict[str, list[str]] = {}
    for name in pictures:
        for stem in {_stem(name).casefold(), name.casefold()}:
            stems.setdefault(stem, []).append(name)
    return stems


def _beside(name: str, stems: Mapping[str, list[str]]) -> list[str]:
    """The pictures that a text stands beside, of its very name if there are such; none where it is no text."""
    if not name.lower().endswith(TEXTS):
        return []
    stem = _stem(name)
    found = stems.get(stem.casefold(), [])
    return [picture for picture in found if stem in (picture, _stem(picture))] or found


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _by_classes(archive: "Archive") -> Captions:
    """Images by the name of their folder, where every image lies in one that names no split, and there are several."""
    pictures = list_pictures(archive)
    parents = {name: PurePosixPath(name).parent.name for name in pictures}
    classes = {clean(parent.replace("_", " ")) for parent in parents.values()}
    folders = {f"{parent}/" for parent in parents.values()}
    if len(classes) < 2 or "/" in folders or splits_of(f"{folder}x" for folder in folders):
        return {}
    return {name: [clean(parents[name].replace("_", " "))] for name in pictures}

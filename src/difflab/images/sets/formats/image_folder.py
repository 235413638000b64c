"""Image folders as Hugging Face's `imagefolder` loads them: images beside a metadata.jsonl.

    train/metadata.jsonl   {"file_name": "a.png", "text": "a cat"}, one row a caption
    train/a.png

Several rows with the same file name are several captions of that image; an empty text is none. `caption`, and
`captions` with a list, are read too. A folder named test holds the split test, any other the split train.
Source: https://huggingface.co/docs/datasets/image_dataset#imagefolder
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import write_bytes, write_text
from difflab.images.sets.formats.captioned import Captioned, clean

if TYPE_CHECKING:
    from difflab.images.archives.archive import Archive

METADATA = "metadata.jsonl"
_COLUMNS = ("text", "caption", "captions")


def write(folder: Path, images: Iterable[tuple[str, bytes, Iterable[str]]]) -> int:
    """Write (file name, encoded image, captions) and their metadata.jsonl, in the given order.

    Returns:
        The number of images.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows, count = [], 0
    for file, content, captions in images:
        write_bytes(folder / file, content)
        texts = tuple(captions) or ("",)
        rows += [json.dumps({"file_name": file, "text": text}, ensure_ascii=False) + "\n" for text in texts]
        count += 1
    write_text(folder / METADATA, "".join(rows))
    return count


def read(archive: "Archive") -> dict[str, list[Captioned]]:
    """The images of each split, numbered in the order in which the metadata name them first.

    Raises:
        DifflabError: there is no metadata.jsonl, or a row is wrong; the line names file and row.
    """
    captions: dict[str, dict[str, list[str]]] = {}
    for name in sorted(archive.names()):
        folder, _, file = name.rpartition("/")
        if file != METADATA or name.startswith("__MACOSX/"):
            continue
        known = captions.setdefault("test" if PurePosixPath(folder).name == "test" else "train", {})
        for file_name, texts in _rows(archive, name):
            known.setdefault(f"{folder}/{file_name}" if folder else file_name, []).extend(texts)
    if not captions:
        raise DifflabError(f"{archive.path} has no {METADATA}: write one row an image, or a caption, there")
    return {
        split: [Captioned(n, file, tuple(texts)) for n, (file, texts) in enumerate(images.items())]
        for split, images in captions.items()
    }


def _rows(archive: "Archive", name: str) -> Iterator[tuple[str, list[str]]]:
    """(file name, captions) of every row."""
    with archive.open(name) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            where = f"{archive.path}: {name}, line {number}"
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, UnicodeDecodeError):
                raise DifflabError(f"{where}: not JSON; correct it") from None
            if not isinstance(row, dict) or not isinstance(row.get("file_name"), str) or not row["file_name"]:
                raise DifflabError(f"{where}: there is no 'file_name'; correct it")
            file = PurePosixPath(row["file_name"])
            if file.is_absolute() or ".." in file.parts:
                raise DifflabError(f"{where}: '{file}' leads out of the folder; correct it")
            yield file.as_posix(), _texts(row, where)


def _texts(row: dict[str, Any], where: str) -> list[str]:
    found = [column for column in _COLUMNS if column in row]
    if len(found) != 1:
        raise DifflabError(f"{where}: there must be one of {', '.join(_COLUMNS)}, not {len(found)}; correct it")
    value = row[found[0]]
    texts = value if found[0] == "captions" else [value]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        kind = "a list of texts" if found[0] == "captions" else "a text"
        raise DifflabError(f"{where}: '{found[0]}' is not {kind}; correct it")
    return [text for text in map(clean, texts) if text]

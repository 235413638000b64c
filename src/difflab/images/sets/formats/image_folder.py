"""Image folders as Hugging Face's `imagefolder` loads them: images beside a metadata.jsonl.

    train/metadata.jsonl   {"file_name": "a.png", "text": "a cat"}, one row a caption
    train/a.png

Several rows with the same file name are several captions of that image; an empty text is none. `caption`, and
`captions` with a list, are read too. A folder named test holds the split test, any other the split train.
Source: https://huggingface.co/docs/datasets/image_dataset#imagefolder
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import write_bytes, write_text
from difflab.images.sets.formats.rows import Captioned, clean

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive

METADATA = "metadata.jsonl"
_COLUMNS = ("text", "caption", "captions")


def write(folder: Path, images: Iterable[tuple[str, bytes, Sequence[str]]]) -> int:
    """Write (file name, encoded image, captions) and their metadata.jsonl, in order; the number of images."""
    rows, count = [], 0
    for file, content, captions in images:
        write_bytes(folder / file, content)
        rows += [json.dumps({"file_name": file, "text": text}, ensure_ascii=False) for text in captions or ("",)]
        count += 1
    write_text(folder / METADATA, "".join(f"{row}\n" for row in rows))
    return count


def read(archive: "Archive") -> dict[str, list[Captioned]]:
    """The images of each split, numbered in the order in which the metadata name them first."""
    captions: dict[str, dict[str, list[str]]] = {}
    for name in sorted(archive.names()):
        path = PurePosixPath(name)
        if path.name != METADATA:
            continue
        known = captions.setdefault("test" if path.parent.name == "test" else "train", {})
        for number, line in enumerate(archive.read(name).split(b"\n"), start=1):
            if line.strip():
                file, texts = _row(line, f"{archive.path}: {name}, line {number}")
                known.setdefault(str(path.parent / file), []).extend(texts)
    if not captions:
        raise DifflabError(f"{archive.path} has no {METADATA}: write one row an image, or a caption, there")
    return {
        split: [Captioned(n, file, tuple(texts)) for n, (file, texts) in enumerate(images.items())]
        for split, images in captions.items()
    }


def _row(line: bytes, where: str) -> tuple[PurePosixPath, list[str]]:
    """The file and the captions of a row."""
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise DifflabError(f"{where}: not JSON; correct it") from None
    if not isinstance(row, dict) or not isinstance(row.get("file_name"), str) or not row["file_name"]:
        raise DifflabError(f"{where}: there is no 'file_name'; correct it")
    file = PurePosixPath(row["file_name"])
    if file.is_absolute() or ".." in file.parts:
        raise DifflabError(f"{where}: '{file}' leads out of the folder; correct it")
    found = [column for column in _COLUMNS if column in row]
    if len(found) != 1:
        raise DifflabError(f"{where}: there must be one of {', '.join(_COLUMNS)}, not {len(found)}; correct it")
    value, several = row[found[0]], found[0] == "captions"
    texts = value if several else [value]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise DifflabError(f"{where}: '{found[0]}' is not {'a list of texts' if several else 'a text'}; correct it")
    return file, [text for text in map(clean, texts) if text]

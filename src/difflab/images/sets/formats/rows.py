"""What the readers of the formats give: images with classes, or images with captions."""

import unicodedata
from typing import Any, NamedTuple

import numpy as np

from difflab.core.base.errors import DifflabError


class Labelled(NamedTuple):
    """The rows of one file."""

    file: str  # its name in the archive
    images: np.ndarray  # uint8 [n, H, W, 3], or [n, H, W] where they are grey
    labels: np.ndarray  # uint8 [n], rows of the set's class names


class Captioned(NamedTuple):
    """One image."""

    number: int  # what tells it from the others of its split
    file: str  # its name in the archive
    captions: tuple[str, ...]  # one clean line each; none is allowed


def clean(caption: str) -> str:
    """A caption as one line without surrounding space, control characters and halves of characters.

    It is empty where nothing of it can be seen.
    """
    if not caption.isprintable():
        caption = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in caption)
    text = " ".join(caption.split())
    return text if any(unicodedata.category(c) != "Cf" for c in text.replace(" ", "")) else ""


def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON (an `object_pairs_hook`); a ValueError where it has a name twice, of which json takes the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found


def decoded_text(content: bytes, where: str) -> str:
    """A text in UTF-8, or in UTF-16 where its mark says so, without that mark.

    Raises:
        DifflabError: it is neither; no other encoding can be told from the bytes.
    """
    form = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = content.decode(form)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DifflabError(f"{where}, line {line}: not UTF-8 text; save it as such") from None
    if "\0" in text:  # UTF-16 without its mark, UTF-32, or no text at all
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DifflabError(f"{where}, line {line}: zero bytes, so it is not UTF-8 text; save it as such")
    return text

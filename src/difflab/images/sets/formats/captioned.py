"""Images with captions, as the tables of their archives list them."""

from typing import NamedTuple


class Captioned(NamedTuple):
    """One image.

    Attributes:
        number: what tells it from the others of its split.
        file: its name in the archive.
        captions: one clean line each; none is allowed.
    """

    number: int
    file: str
    captions: tuple[str, ...]


def clean(caption: str) -> str:
    """A caption as one line without surrounding space."""
    return " ".join(caption.split())

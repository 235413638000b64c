"""What the readers of the formats give: images with classes, or images with captions."""

from typing import NamedTuple

import numpy as np


class Labelled(NamedTuple):
    """The rows of one file.

    Attributes:
        file: its name in the archive.
        images: uint8 [n, H, W, 3], or [n, H, W] where they are grey.
        labels: uint8 [n], rows of the set's class names.
    """

    file: str
    images: np.ndarray
    labels: np.ndarray


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

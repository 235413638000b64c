"""What the readers of the formats give: images with classes, or images with captions."""

from typing import NamedTuple

import numpy as np


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
    """A caption as one line without surrounding space."""
    return " ".join(caption.split())

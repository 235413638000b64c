"""Images with classes, as one official file holds them."""

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

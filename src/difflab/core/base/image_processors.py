"""What an image processor of transformers says of pictures, checked: its library takes nearly anything."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.pretrained import REMEDY

FILTERS = {0: "nearest", 1: "Lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "Hamming"}  # by Pillow's numbers


def check_image_processor(own: Any, folder: str | Path) -> None:
    """Refuse values that a processor takes for others without a word, and a mean or deviation of another range of pixels.

    Raises:
        DifflabError: names the folder, the value and what it must be.
    """
    what = "of its preprocessor"
    for name in ("do_resize", "do_rescale", "do_normalize"):
        if not isinstance(given := getattr(own, name, None), bool | None):
            raise DifflabError(f"{folder}: {name} {what} is {given!r}: it must be true or false")
    if own.do_resize and own.resample is not None and own.resample not in FILTERS:  # another name becomes bilinear
        raise DifflabError(
            f"{folder}: resample {what} is {own.resample!r}: it must be a number from 0 to 5, as Pillow's"
        )
    with reading(folder, REMEDY):
        given = [*np.ravel(own.image_mean or ()), *np.ravel(own.image_std or ())]
        values = [math.nan if isinstance(value, str) else float(value) for value in given]
        white = 255 * float(own.rescale_factor) if own.do_rescale else 255.0
    if not 0 < white < math.inf:
        raise DifflabError(f"{folder}: rescale_factor {what} is {own.rescale_factor}: it must be above 0")
    if not own.do_normalize:
        return
    if len(values) != 6 or not all(np.isfinite(values)) or min(values[3:]) <= 0:
        raise DifflabError(f"{folder}: image_mean and image_std {what} must be three numbers each, std > 0")
    for name, numbers, least in (("image_mean", values[:3], white / 100), ("image_std", values[3:], white / 300)):
        if any(number and not least <= number <= white for number in numbers):  # of another range
            raise DifflabError(
                f"{folder}: {name} {what} is {numbers}, and its pixels are 0 to {white:g}: "
                f"correct {name}, do_rescale or rescale_factor"
            )

"""What a title or caption names, judged by its words: the one module of this study that knows the miniature's titles.

The miniature's pictures show a digit over a photograph, and their titles say which. Titles of dishes name neither.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from difflab.core.base.errors import DifflabError
from difflab.metrics.distinct import words_of
from difflab.miniature.words.digit_titles import named

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("digit_correct", "photo_correct", "both_correct")
_SMALL_WORDS = {"a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"}


def faithful(source: str, variation: str) -> bool:
    """Whether a variation names the digit and the photograph that its source names.

    Where the source names neither: whether one of its words is kept, other than small ones such as "with".
    """
    labels = named(source)
    if labels == (None, None):
        return bool((set(words_of(source)) & set(words_of(variation))) - _SMALL_WORDS)
    return all(label in (None, found) for label, found in zip(labels, named(variation), strict=True))


def title_labels(titles: Sequence[str], photo_names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The digit and the photograph (index into `photo_names`) of each title, int64 [n] each; -1: none or several."""
    pairs = [named(title) for title in titles]
    digits = [-1 if digit is None else digit for digit, _ in pairs]
    photos = [-1 if photo not in photo_names else list(photo_names).index(photo) for _, photo in pairs]
    return np.array(digits, np.int64), np.array(photos, np.int64)


def are_judged(titles: Mapping[str, Sequence[str]]) -> bool:
    """Whether the titles of every image name a digit and a photograph, as those of the miniature do."""
    return all(all(_labels(texts)) for texts in titles.values())


def correct_captions(captions: Mapping[str, str], titles: Mapping[str, Sequence[str]]) -> "pd.DataFrame":
    """Whether each caption names its image's digit, its photograph, and both.

    A caption that names none, or several, is wrong. Where an image's titles differ, any of them counts.

    Args:
        captions: one for each image.
        titles: all titles of each image.

    Returns:
        One row per image, ids ascending: `id` and a float64 column of 0 and 1 for each of `MEASURES`.

    Raises:
        DifflabError: an image has no caption, or its titles name no digit or no photograph.
    """
    import pandas as pd

    rows = []
    for i in sorted(titles):
        digits, photos = _labels(titles[i])
        if not digits or not photos:
            raise DifflabError(
                f"the titles of {i} name no digit or no photograph: only captions of the miniature can be judged"
            )
        if i not in captions:
            raise DifflabError(f"{i} has no caption: caption every image that is scored")
        digit, photo = named(captions[i])
        rows.append((i, digit in digits, photo in photos, digit in digits and photo in photos))
    frame = pd.DataFrame(rows, columns=["id", *MEASURES])
    return frame.astype(dict.fromkeys(MEASURES, np.float64))


def _labels(titles: Sequence[str]) -> tuple[set[int], set[str]]:
    """The digits and the photographs that the titles name."""
    digits, photos = zip(*map(named, titles), strict=True) if len(titles) else ((), ())
    return set(digits) - {None}, set(photos) - {None}

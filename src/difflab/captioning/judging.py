"""What a title or caption names, judged by its words, in the classes of the data sets that are known."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from difflab.core.base.errors import DifflabError
from difflab.datasets import KNOWN, class_sets_of
from difflab.metrics.distinct import words_of

if TYPE_CHECKING:
    import pandas as pd

    from difflab.images.facts.data_set import ClassSet

MEASURES = ("digit_correct", "photo_correct", "both_correct")
_SMALL_WORDS = {"a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"}


def faithful(source: str, variation: str) -> bool:
    """Whether a variation names the classes of a known data set that its source names.

    Where the source names none: whether one of its words is kept, other than small ones such as "with".
    """
    class_sets = [c for data_set in KNOWN for c in data_set.class_sets if c.named(source) >= 0]
    if not class_sets:
        return bool((set(words_of(source)) & set(words_of(variation))) - _SMALL_WORDS)
    return all(classes.named(source) == classes.named(variation) for classes in class_sets)


def are_judged(titles: Mapping[str, Sequence[str]]) -> bool:
    """Whether the titles of every image name its classes in a known data set, as those of the miniature do."""
    class_sets = class_sets_of(text for texts in titles.values() for text in texts)
    return bool(class_sets) and all(_labels(texts, classes) for texts in titles.values() for classes in class_sets)


def correct_captions(captions: Mapping[str, str], titles: Mapping[str, Sequence[str]]) -> "pd.DataFrame":
    """Whether each caption names each class of its image, and all of them.

    A caption that names none, or several, is wrong. Where an image's titles differ, any of them counts.

    Args:
        captions: one for each image.
        titles: all titles of each image.

    Returns:
        One row per image, ids ascending: `id` and a float64 column of 0 and 1 for each of `MEASURES`.

    Raises:
        DifflabError: an image has no caption, or its titles name no class.
    """
    import pandas as pd

    class_sets = class_sets_of(text for texts in titles.values() for text in texts)
    rows = []
    for i in sorted(titles):
        labels = [_labels(titles[i], classes) for classes in class_sets]
        if not (labels and all(labels)):
            raise DifflabError(f"the titles of {i} name no class: only captions of a known data set can be judged")
        if i not in captions:
            raise DifflabError(f"{i} has no caption: caption every image that is scored")
        right = [classes.named(captions[i]) in own for classes, own in zip(class_sets, labels, strict=True)]
        rows.append((i, *right, all(right)))
    frame = pd.DataFrame(rows, columns=["id", *MEASURES])
    return frame.astype(dict.fromkeys(MEASURES, np.float64))


def _labels(titles: Sequence[str], classes: "ClassSet") -> set[int]:
    """The classes that the titles name."""
    return {classes.named(title) for title in titles} - {-1}

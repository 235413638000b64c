"""Does a caption name what its picture shows? For pictures whose titles name the classes of a known data set."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from difflab.core.base.errors import DifflabError
from difflab.datasets import class_sets_of
from difflab.images.facts.data_set import ClassSet

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("digit_named", "photo_named", "both_named")


def are_named(titles: Mapping[str, Sequence[str]]) -> bool:
    """Whether the titles of every image name its classes in a known data set, as those of the miniature do."""
    class_sets = class_sets_of(text for texts in titles.values() for text in texts)
    return bool(class_sets) and all(
        _shown(texts, classes) for texts in titles.values() for classes in class_sets
    )


def rightly_named(captions: Mapping[str, str], titles: Mapping[str, Sequence[str]]) -> "pd.DataFrame":
    """Whether each caption names each class of its image, and all of them.

    A caption that names none, or several, is wrong. An image whose titles differ may be named by any of them.

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
        shown = [_shown(titles[i], classes) for classes in class_sets]
        if not (shown and all(shown)):
            raise DifflabError(
                f"the titles of {i} name no class: only captions of a known data set can be checked"
            )
        if i not in captions:
            raise DifflabError(f"{i} has no caption: caption every image that is scored")
        right = [classes.named(captions[i]) in own for classes, own in zip(class_sets, shown, strict=True)]
        rows.append((i, *right, all(right)))
    frame = pd.DataFrame(rows, columns=["id", *MEASURES])
    return frame.astype(dict.fromkeys(MEASURES, np.float64))


def _shown(titles: Sequence[str], classes: ClassSet) -> set[int]:
    """The classes that the titles name."""
    return {classes.named(title) for title in titles} - {-1}

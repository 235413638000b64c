"""Does a caption name what its picture shows? For pictures of a digit over a photograph, whose titles say both."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from difflab.core.base.errors import DifflabError
from difflab.miniature.words.digit_titles import named

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("digit_named", "photo_named", "both_named")


def are_named(titles: Mapping[str, Sequence[str]]) -> bool:
    """Whether the titles of every image name a digit and a photograph, as those of the miniature do."""
    return all(all(_shown(texts)) for texts in titles.values())


def rightly_named(captions: Mapping[str, str], titles: Mapping[str, Sequence[str]]) -> "pd.DataFrame":
    """Whether each caption names its image's digit, its photograph, and both.

    A caption that names none, or several, is wrong. An image whose titles differ may be named by any of them.

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
        digits, photos = _shown(titles[i])
        if not digits or not photos:
            raise DifflabError(
                f"the titles of {i} name no digit or no photograph: only the miniature's can be checked"
            )
        if i not in captions:
            raise DifflabError(f"{i} has no caption: caption every image that is scored")
        digit, photo = named(captions[i])
        rows.append((i, digit in digits, photo in photos, digit in digits and photo in photos))
    frame = pd.DataFrame(rows, columns=["id", *MEASURES])
    return frame.astype(dict.fromkeys(MEASURES, np.float64))


def _shown(titles: Sequence[str]) -> tuple[set[int], set[str]]:
    """The digits and the photographs that the titles name."""
    digits, photos = zip(*map(named, titles), strict=True) if len(titles) else ((), ())
    return set(digits) - {None}, set(photos) - {None}

"""What a title or caption names, judged by its words in the classes of known data sets; what became of varied titles."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from difflab.datasets import KNOWN, class_sets_of
from difflab.metrics.distinct import distinct_n, words_of

if TYPE_CHECKING:
    from difflab.images.facts.data_set import ClassSet
    from difflab.models.title_variations import Outcome

MEASURES = ("digit_correct", "photo_correct", "both_correct")
_SMALL_WORDS = {"a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"}


def are_judged(titles: Mapping[str, Sequence[str]]) -> bool:
    """Whether the titles of every image name its classes in a known data set, as those of the miniature do."""
    class_sets = class_sets_of(text for texts in titles.values() for text in texts)
    return bool(class_sets) and all(_labels(texts, classes) for texts in titles.values() for classes in class_sets)


def correct_captions(captions: Mapping[str, str], titles: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Whether the caption of each image names each class of its titles, which `are_judged`, and all of them.

    A caption that names none, or several, is wrong. Where an image's titles differ, any of them counts.

    Returns:
        One row per image, ids ascending: `id` and a float64 column of 0 and 1 for each of `MEASURES`.
    """
    class_sets = class_sets_of(text for texts in titles.values() for text in texts)
    rows = []
    for i in sorted(titles):
        right = [classes.named(captions[i]) in _labels(titles[i], classes) for classes in class_sets]
        rows.append((i, *right, all(right)))
    return pd.DataFrame(rows, columns=["id", *MEASURES]).astype(dict.fromkeys(MEASURES, np.float64))


def _labels(titles: Sequence[str], classes: "ClassSet") -> set[int]:
    """The classes that the titles name."""
    return {classes.named(title) for title in titles} - {-1}


def faithful(source: str, variation: str) -> bool:
    """Whether a variation names the classes of a known data set that its source names.

    Where the source names none: whether one of its words is kept, other than small ones such as "with".
    """
    class_sets = [c for data_set in KNOWN for c in data_set.class_sets if c.named(source) >= 0]
    if not class_sets:
        return bool((set(words_of(source)) & set(words_of(variation))) - _SMALL_WORDS)
    return all(classes.named(source) == classes.named(variation) for classes in class_sets)


def outcomes_frame(outcomes: "Sequence[Outcome]") -> pd.DataFrame:
    """One row per title: id, title, variations (a list, empty where refused), reason, answer, attempts."""
    rows = []
    for o in outcomes:
        read = ([], str(o.variations)) if isinstance(o.variations, str) else (list(o.variations), "")
        rows.append((o.id, o.title, *read, o.answer, o.attempts))
    return pd.DataFrame(rows, columns=["id", "title", "variations", "reason", "answer", "attempts"])


def variations_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Of `outcomes_frame`: one row per variation, with the id of its title and its number 0, 1, 2."""
    found = zip(frame["id"], frame["variations"], strict=True)
    rows = [(id, number, title) for id, titles in found for number, title in enumerate(titles)]
    return pd.DataFrame(rows, columns=["id", "number", "title"]).astype({"number": "int64"})


def quarantine_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Of `outcomes_frame`: id, title, reason and last answer of the titles without variations."""
    return frame.loc[frame["reason"] != "", ["id", "title", "reason", "answer"]]


def metrics(frame: pd.DataFrame) -> dict[str, int | float]:
    """Counts of titles and the quality of their variations, from `outcomes_frame`, without a judging model.

    `faithful` is the share of faithful variations, `distinct` their distinct-2 within a title, in the mean over titles.
    """
    varied = frame[frame["reason"] == ""]
    kept = [faithful(row.title, title) for row in varied.itertuples() for title in row.variations]
    distinct = [distinct_n(row.variations, 2) for row in varied.itertuples()]
    counts = {"n": len(frame), "varied": len(varied), "quarantined": len(frame) - len(varied)}
    quality = {"faithful": sum(kept) / max(len(kept), 1), "distinct": sum(distinct) / max(len(distinct), 1)}
    return {**counts, "retried": int((frame["attempts"] > 1).sum()), **quality}

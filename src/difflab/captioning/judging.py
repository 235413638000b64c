"""What a title or caption names, judged by its words in the classes of known data sets; what became of varied titles."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from difflab.core.base.numerals import NUMBER_WORDS
from difflab.datasets import class_sets_of
from difflab.metrics.words import distinct_n, words

if TYPE_CHECKING:
    from difflab.images.facts.data_set import ClassSet
    from difflab.models.title_variations import Outcome

MEASURES = ("digit_correct", "photo_correct", "both_correct")
_PREPOSITIONS = {"at", "by", "for", "from", "in", "of", "on", "over", "to", "under", "with", "without"}
_SMALL_WORDS = _PREPOSITIONS | {"a", "an", "and", "or", "the", *NUMBER_WORDS}
_PARTS = re.compile(r"[,:;|(–—]")


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
    """Whether a variation is about the same thing as its source.

    A title of a known data set is to keep the classes that it names. Of any other one the thing itself is to be kept,
    which is the last word before a preposition ("Coffee Cake with Nuts": cake), or more than half of its words; stems
    are compared, and small words such as "with", numbers and figures do not count.
    """
    if class_sets := class_sets_of([source]):
        return all(classes.named(source) == classes.named(variation) for classes in class_sets)
    said, kept = _stems(source), set(_stems(variation))
    return bool(said) and (_thing(source, said) in kept or 2 * len(kept.intersection(said)) > len(set(said)))


def _stems(text: str) -> list[str]:
    """The words that tell what a title is about, without their endings."""
    from nltk.stem.porter import PorterStemmer

    return [PorterStemmer().stem(w) for w in words(text) if not (w in _SMALL_WORDS or w.isnumeric())]


def _thing(title: str, said: list[str]) -> str:
    """What a title names, as a stem: of its first part, the last word before a preposition."""
    parts = [found for part in _PARTS.split(title) if (found := words(part))]
    for number, word in enumerate(parts[0]):
        if word in _PREPOSITIONS and (before := _stems(" ".join(parts[0][:number]))):
            return before[-1]
    return (_stems(" ".join(parts[0])) or said)[-1]


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

"""The titles that pictures are made of: read from the table of variations, and looked for in the pictures."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_parquet
from difflab.core.base.store.captions import has_word
from difflab.datasets import class_sets_of
from difflab.metrics.features.features import classify, judged_classes, share_correct

if TYPE_CHECKING:
    from difflab.metrics.features.features import VisionEncoderExtractor

_COLUMNS = ("id", "number", "title")


def read_variations(path: str | Path) -> dict[str, str]:
    """Titles by variation id `<id>-v<number>`, in the order of ids, from a table id, number, title.

    Raises:
        DifflabError: the table is missing or empty, lacks a column, has a variation twice, or a title
            is no text with a word.
    """
    if not Path(path).exists():
        raise DifflabError(f"{path} is missing: run `dvc repro vary_titles` (or `dvc pull`) to make it")
    frame = read_parquet(path)
    if missing := [name for name in _COLUMNS if name not in frame.columns]:
        raise DifflabError(f"{path} lacks the column {missing[0]}: variations have {', '.join(_COLUMNS)}")
    if frame.empty:
        raise DifflabError(f"{path} has no variation: see the reasons in data/titles/quarantine.csv")
    if bad := [str(n) for n, title in enumerate(frame["title"]) if not has_word(title)]:
        rows = ", ".join(bad[:5]) + (", ..." if len(bad) > 5 else "")
        raise DifflabError(f"{path} has {len(bad)} rows without a title (rows {rows}): run `dvc repro -f vary_titles`")
    ids = frame["id"] + "-v" + frame["number"].astype(str)
    if ids.duplicated().any():
        twice = ids[ids.duplicated()].iloc[0]
        raise DifflabError(f"{path} has the variation {twice} twice: run `dvc repro -f vary_titles`")
    return dict(sorted(zip(ids, frame["title"], strict=True)))


def first_variations(titles: dict[str, str], count: int) -> dict[str, str]:
    """At most `count` of the variations: one of each title, in the order of ids, before the second of any."""
    ids = sorted(titles, key=lambda id: (int(id.rpartition("-v")[2]), id))[:count]
    return {id: titles[id] for id in ids}


def title_accuracy(
    images: Iterable, titles: Sequence[str], extractor: "VisionEncoderExtractor"
) -> dict[str, float | None]:
    """Shares of pictures with each class of their titles, and with all of them (`both_accuracy`).

    Each over the titles that name one. Empty where the titles are of no known data set, or where the vision encoder
    has no heads to see its classes by (a released ViT).
    """
    class_sets = judged_classes(class_sets_of(titles), extractor)
    if not class_sets:
        return {}
    seen = classify(images, extractor)
    found = np.stack([seen[classes.name] for classes in class_sets])
    wanted = np.array([[classes.named(title) for title in titles] for classes in class_sets], np.int64)
    known = (wanted >= 0).all(axis=0)
    result = {c.name: share_correct(*pair) for c, *pair in zip(class_sets, found, wanted, strict=True)}
    if known.any():
        result["both"] = float((found == wanted).all(axis=0)[known].mean())
    return {f"{name}_accuracy": share for name, share in result.items()}

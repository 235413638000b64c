"""Captioned pictures as rows: cleaned, and each picture once with all of its titles."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from difflab.captioning.mixing.image_hashes import components
from difflab.core.base.errors import DifflabError

ORIGINAL, SYNTHETIC = "original", "synthetic"
Excluded = dict[str, list[str]]
REASONS = (
    "empty_titles", "images_without_title", "titles_without_image", "blank_images", "synthetic_without_original",
)  # fmt: skip
"""Why ids do not become a row: the keys of `Excluded`, which collects them in id order."""


class Row(NamedTuple):
    """One picture with its titles.

    Attributes:
        id: of the picture.
        source: original or synthetic.
        group: an original's id; it, its synthetic pictures and all their copies share it and are split together.
        titles: one clean line each.
        split: train, val or test; empty before the split.
    """

    id: str
    source: str
    group: str
    titles: tuple[str, ...]
    split: str = ""


def clean(
    source: str, image_ids: Sequence[str], titles: Mapping[str, Sequence[object]], excluded: Excluded
) -> list[Row]:
    """Rows, in id order, of the images that have a title.

    Args:
        image_ids: of the images of `source`; those of synthetic ones are <original>-v<number>.
        titles: by id; None, NaN and blank ones are left out.
        excluded: collects the ids that are left out.

    Raises:
        DifflabError: a synthetic image is not named after an original.
    """
    rows, known = [], set(image_ids)
    for id in sorted(known | set(titles)):
        good = [" ".join(t.split()) for t in titles.get(id, ()) if isinstance(t, str) and t.strip()]
        excluded["empty_titles"] += [id] * (len(titles.get(id, ())) - len(good))
        if id not in known:
            excluded["titles_without_image"].append(id)
        elif good:
            rows.append(Row(id, source, id if source == ORIGINAL else _original(id), _distinct(good)))
        elif id not in titles:
            excluded["images_without_title"].append(id)
    return rows


def _original(id: str) -> str:
    original, mark, number = id.rpartition("-v")
    if not (original and mark and number.isdecimal()):
        raise DifflabError(f"the synthetic image '{id}' is not named <original>-v<number>: make data/synthetic again")
    return original


def _distinct(titles: Sequence[str]) -> tuple[str, ...]:
    """The first of the titles that differ in capitals only."""
    first: dict[str, str] = {}
    for title in titles:
        first.setdefault(title.casefold(), title)
    return tuple(first.values())


def usable(rows: Sequence[Row], blank: np.ndarray, excluded: Excluded) -> list[int]:
    """Positions of the rows whose picture is not blank (bool [n]) and whose original is among them."""
    originals = {row.id for row, one in zip(rows, blank, strict=True) if row.source == ORIGINAL and not one}
    kept = []
    for number, row in enumerate(rows):
        if blank[number]:
            excluded["blank_images"].append(row.id)
        elif row.group not in originals:
            excluded["synthetic_without_original"].append(row.id)
        else:
            kept.append(number)
    return kept


def merge(rows: Sequence[Row], sha256: Sequence[str], near: np.ndarray) -> tuple[list[Row], int, int]:
    """Make one row of the copies of a picture, and join the groups that share a picture.

    The row that comes first in id order stays, with the titles of all. Copies of different sources stay apart,
    so that nothing written for a synthetic picture becomes the reference of an original; but they share a group.

    Args:
        sha256: hashes of the files, [n].
        near: groups of near pictures, int [n], see `image_hashes.near_groups`.

    Returns:
        Rows in id order, the name of joined groups being the first of theirs; how many rows were merged into
        another as equal files, and how many as near pictures.
    """
    order = sorted(range(len(rows)), key=lambda number: rows[number].id)
    rows = [rows[number] for number in order]
    files = [sha256[number] for number in order]
    picture = _connected(files, near[order])
    group = _connected(picture, [row.group for row in rows])
    names: dict[int, str] = {}
    copies: dict[tuple[str, int], list[Row]] = {}
    for row, shown, joined in zip(rows, picture.tolist(), group.tolist(), strict=True):
        names[joined] = min(row.group, names.get(joined, row.group))
        copies.setdefault((row.source, shown), []).append(row)
    merged = []
    for (_, shown), same in copies.items():
        titles = _distinct([title for row in same for title in row.titles])
        merged.append(same[0]._replace(group=names[int(group[shown])], titles=titles))
    distinct = len({(row.source, file) for row, file in zip(rows, files, strict=True)})
    return merged, len(rows) - distinct, distinct - len(merged)


def _connected(*keys: Sequence | np.ndarray) -> np.ndarray:
    """For each row the first one that it is connected with, where rows with an equal key are: int64 [n]."""
    pairs = []
    for key in keys:
        _, first, inverse = np.unique(np.asarray(key), return_index=True, return_inverse=True)
        pairs.append(np.stack([first[inverse], np.arange(len(key))], axis=1))
    return components(len(keys[0]), np.concatenate(pairs))

"""Captioned pictures as rows: cleaned, each picture once with all of its titles, and split by group without leaks."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.store.captions import has_word
from difflab.core.base.store.split import SPLITS
from difflab.images.preparing.image_hashes import components

if TYPE_CHECKING:
    from difflab.captioning.params import MixParams

ORIGINAL, SYNTHETIC = "original", "synthetic"
PUBLISHED_SHARE = 0.1  # of the published test set, and of its validation set
_PRECEDENCE = ("", "train", "val", "test")
Excluded = dict[str, list[str]]
REASONS = ["empty_titles", "images_without_title", "titles_without_image", "blank_images", "synthetic_without_original"]
"""Why ids do not become a row: the keys of `Excluded`, which collects them in id order."""


class Row(NamedTuple):
    """One picture with its titles."""

    id: str
    source: str  # original or synthetic
    group: str  # an original's id; it, its synthetic pictures and all their copies share it and are split together
    titles: tuple[str, ...]  # one clean line each
    split: str = ""  # train, val or test: that drawn for its original, then that of its group; empty before


def clean(
    source: str, image_ids: Sequence[str], titles: Mapping[str, Sequence[object]], excluded: Excluded
) -> list[Row]:
    """Rows, in id order, of the images that have a title; `excluded` collects the ids that are left out.

    Args:
        image_ids: of the images of `source`; those of synthetic ones are <original>-v<number>.
        titles: by id; None, NaN and those without a word (blank, "???", an emoji) are left out.

    Raises:
        DifflabError: a synthetic image is not named after an original.
    """
    rows, known = [], set(image_ids)
    for id in sorted(known | set(titles)):
        good = [" ".join(t.split()) for t in titles.get(id, ()) if has_word(t)]
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
    folded = [title.casefold() for title in titles]
    return tuple(title for number, title in enumerate(titles) if folded.index(folded[number]) == number)


def usable(rows: Sequence[Row], blank: np.ndarray, excluded: Excluded) -> list[int]:
    """Positions of the rows whose picture is not blank (bool [n]) and whose original is among them."""
    shown = [number for number in range(len(rows)) if not blank[number]]
    originals = {rows[number].id for number in shown if rows[number].source == ORIGINAL}
    excluded["blank_images"] += [row.id for row, one in zip(rows, blank, strict=True) if one]
    excluded["synthetic_without_original"] += [rows[n].id for n in shown if rows[n].group not in originals]
    return [number for number in shown if rows[number].group in originals]


def merge(rows: Sequence[Row], sha256: Sequence[str], near: np.ndarray) -> tuple[list[Row], int, int]:
    """Make one row of the copies of a picture, and join the groups that share a picture.

    The row that comes first in id order stays, with the titles of all. Copies of different sources stay apart,
    so that nothing written for a synthetic picture becomes the reference of an original; but they share a group.

    Args:
        sha256: hashes of the files, [n].
        near: groups of near pictures, int [n], see `image_hashes.near_groups`.

    A group that holds a drawn test dish is tested on, so that what is drawn for test stays there; otherwise val
    comes before train.

    Returns:
        Rows in id order, joined groups by their first name; how many were merged as equal files, and as near pictures.
    """
    order = sorted(range(len(rows)), key=lambda number: rows[number].id)
    rows = [rows[number] for number in order]
    files = [sha256[number] for number in order]
    picture = _connected(files, near[order])
    group = _connected(picture, [row.group for row in rows])
    names: dict[int, str] = {}
    splits: dict[int, str] = {}
    copies: dict[tuple[str, int], list[Row]] = {}
    for row, shown, joined in zip(rows, picture.tolist(), group.tolist(), strict=True):
        names[joined] = min(row.group, names.get(joined, row.group))
        splits[joined] = max(row.split, splits.get(joined, ""), key=_PRECEDENCE.index)
        copies.setdefault((row.source, shown), []).append(row)
    merged = []
    for (_, shown), same in copies.items():
        titles = _distinct([title for row in same for title in row.titles])
        joined = int(group[shown])
        merged.append(same[0]._replace(group=names[joined], titles=titles, split=splits[joined]))
    distinct = len({(row.source, file) for row, file in zip(rows, files, strict=True)})
    return merged, len(rows) - distinct, distinct - len(merged)


def _connected(*keys: Sequence | np.ndarray) -> np.ndarray:
    """For each row the first one that it is connected with, where rows with an equal key are: int64 [n]."""
    pairs = []
    for key in keys:
        _, first, inverse = np.unique(np.asarray(key), return_index=True, return_inverse=True)
        pairs.append(np.stack([first[inverse], np.arange(len(key))], axis=1))
    return components(len(keys[0]), np.concatenate(pairs))


def drawn_splits(originals: Collection[str], settings: "MixParams", seed: int) -> dict[str, str]:
    """The split of each original by id: those with the lowest draws are test, those with the highest val, else train.

    It is known before any variation is made, and needs no picture. Draws are keyed by id: order changes nothing, and
    one more original moves at most one other across each of the two borders, to or from train. (No split of exact
    shares moves none.)
    """
    order = sorted(originals, key=lambda name: (rng.key(seed, "mix split", name), name))
    test, val = (round(share * len(order)) for share in (settings.test_fraction, settings.val_fraction))
    names = ["test"] * test + ["train"] * (len(order) - test - val) + ["val"] * val
    return dict(zip(order, names, strict=True))


def split(rows: Sequence[Row], settings: "MixParams", seed: int) -> list[Row]:
    """The rows of `merge` that are used, in id order.

    train: every picture of its groups. val: originals and synthetic pictures, equally many. test: originals.
    The other pictures of val and test groups are in no split.

    Raises:
        DifflabError: a split would lack originals, or train or val synthetic pictures.
    """

    def of(name: str, source: str) -> list[Row]:
        return [row for row in rows if row.split == name and row.source == source]

    val = [of("val", source) for source in (ORIGINAL, SYNTHETIC)]
    half = min(map(len, val))
    result = [*of("train", ORIGINAL), *of("train", SYNTHETIC), *of("test", ORIGINAL)]
    result += [row for some in val for row in _drawn(some, half, seed)]
    groups = {name: {row.group for row in rows if row.split == name} for name in SPLITS}
    _refuse_empty(counts(result), groups, settings)
    return sorted(result)


def _drawn(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """`count` of the rows: a first one of every group before a second one of any."""
    seen: Counter[str] = Counter()
    turns = []
    for draw, row in sorted((rng.key(seed, "mix val", row.id), row) for row in rows):
        turns.append((seen[row.group], draw, row))
        seen[row.group] += 1
    return [row for _, _, row in sorted(turns)[:count]]


def _refuse_empty(found: Mapping[str, int], groups: Mapping[str, set[str]], settings: "MixParams") -> None:
    for name, own in groups.items():
        if not own:
            change = "lower mix.val_fraction" if name == "train" else f"raise mix.{name}_fraction"
            raise DifflabError(
                f"the split {name} is empty: of {sum(map(len, groups.values()))} groups, test_fraction "
                f"{settings.test_fraction:g} and val_fraction {settings.val_fraction:g} leave it none; "
                f"prepare more recipes, or {change}"
            )
        if name != "test" and not found[f"{name}_{SYNTHETIC}"]:
            raise DifflabError(
                f"the split {name} has no synthetic picture: data/synthetic holds none of its {len(own)} groups; "
                "complete it with `dvc repro synthesize`"
            )


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """Rows by split and source, e.g. val_synthetic."""
    found = Counter((row.split, row.source) for row in rows)
    return {f"{name}_{source}": found[name, source] for name in SPLITS for source in (ORIGINAL, SYNTHETIC)}


def leaks(rows: Sequence[Row], seen: Collection[str] = ("train", "val")) -> int:
    """The number of test rows with a row of the same group in the splits `seen`."""
    groups = {row.group for row in rows if row.split in seen}
    return sum(row.split == "test" and row.group in groups for row in rows)


def split_rows(rows: Sequence[Row], seed: int) -> list[Row]:
    """The order of steps of the published study: variations first, then a split 80/10/10 row by row.

    Of all rows, test takes its share from the originals, val its share half and half, train the rest.
    """
    held = int(PUBLISHED_SHARE * len(rows))
    held_out = {ORIGINAL: ["test"] * held + ["val"] * (held // 2), SYNTHETIC: ["val"] * (held - held // 2)}
    order = sorted(rows, key=lambda row: rng.key(seed, "mix row by row", row.id))
    names = {source: iter(some) for source, some in held_out.items()}
    return sorted(row._replace(split=next(names[row.source], "train")) for row in order)


def listing(rows: Sequence[Row], split: str) -> pd.DataFrame:
    """The export of one split: Image_Name, and Title, a JSON list that is also a Python literal."""
    values = [(f"{row.id}.png", json.dumps(row.titles, ensure_ascii=False)) for row in rows if row.split == split]
    return pd.DataFrame(values, columns=["Image_Name", "Title"])

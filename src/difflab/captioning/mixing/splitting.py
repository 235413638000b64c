"""Originals and synthetic pictures split together by group, so that nothing made from a held-out original is trained on."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from difflab.captioning.mixing.merging import ORIGINAL, SYNTHETIC, Row
from difflab.core.base import rng as keyed
from difflab.core.base.errors import DifflabError
from difflab.images.store.split import SPLITS

if TYPE_CHECKING:
    import pandas as pd

    from difflab.captioning.params import MixParams


def split(rows: Sequence[Row], settings: "MixParams", seed: int) -> list[Row]:
    """Split rows by group, keyed by the seed and the group's name.

    train: every picture of its groups. val: originals and synthetic pictures, equally many. test: originals.
    The other pictures of val and test groups are in no split.

    Returns:
        The rows of the three splits, in id order.

    Raises:
        DifflabError: a split would lack originals, or train or val synthetic pictures.
    """
    groups = split_groups({row.group for row in rows}, settings, seed)

    def of(name: str, source: str) -> list[Row]:
        return [row._replace(split=name) for row in rows if row.group in groups[name] and row.source == source]

    val = [of("val", source) for source in (ORIGINAL, SYNTHETIC)]
    half = min(map(len, val))
    result = [*of("train", ORIGINAL), *of("train", SYNTHETIC), *of("test", ORIGINAL)]
    result += [row for some in val for row in _drawn(some, half, seed)]
    _refuse_empty(counts(result), groups, settings)
    return sorted(result)


def split_groups(names: Collection[str], settings: "MixParams", seed: int) -> dict[str, set[str]]:
    """The groups of each split: those with the lowest draws are test, those with the highest val; the rest is train.

    Draws are keyed by name: order changes nothing, and one more group moves at most one other across each of the
    two borders, to or from train. (No split of exact shares moves none.)
    """
    order = sorted(names, key=lambda name: (keyed.key(seed, "mix split", name), name))
    test = round(settings.test_fraction * len(order))
    val = len(order) - round(settings.val_fraction * len(order))
    return {"train": set(order[test:val]), "val": set(order[val:]), "test": set(order[:test])}


def _drawn(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """`count` of the rows: a first one of every group before a second one of any."""
    seen: Counter[str] = Counter()
    turns = []
    for draw, row in sorted((keyed.key(seed, "mix val", row.id), row) for row in rows):
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


def split_rows(rows: Sequence[Row], settings: "MixParams", seed: int) -> list[Row]:
    """The order of steps of the published study: variations first, then a split row by row.

    Of all rows, test takes its share from the originals, val its share half and half, train the rest.
    """
    test, val = (int(share * len(rows)) for share in (settings.test_fraction, settings.val_fraction))
    held_out = {ORIGINAL: ["test"] * test + ["val"] * (val // 2), SYNTHETIC: ["val"] * (val - val // 2)}
    order = sorted(rows, key=lambda row: keyed.key(seed, "mix row by row", row.id))
    names = {source: iter(some) for source, some in held_out.items()}
    return sorted(row._replace(split=next(names[row.source], "train")) for row in order)


def listing(rows: Sequence[Row], split: str) -> "pd.DataFrame":
    """The export of one split: Image_Name, and Title, a JSON list that is also a Python literal."""
    import pandas as pd

    values = [(f"{row.id}.png", json.dumps(row.titles, ensure_ascii=False)) for row in rows if row.split == split]
    return pd.DataFrame(values, columns=["Image_Name", "Title"])

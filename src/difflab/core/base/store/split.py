"""The split of a table of samples into train, val and test, stratified on attributes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "val", "test")


def split_ids(
    ids: Sequence, strata: "pd.DataFrame", val_fraction: float, test_fraction: float, seed: int
) -> dict[str, list]:
    """Split `ids` by scikit-learn's `train_test_split`, called twice with the same seed: ids in order, by split.

    Every combination of the columns of `strata` (one row per id) keeps its share in each part. With fractions
    0.1 and 0.1, seed 42 and Male, Wearing_Lipstick, Smiling this is the published split of CelebA-HQ.
    """
    from sklearn.model_selection import train_test_split

    groups = strata.to_numpy() if strata.shape[1] else None
    held_out = val_fraction + test_fraction
    try:
        train, rest = train_test_split(np.arange(len(ids)), test_size=held_out, random_state=seed, stratify=groups)
        groups = None if groups is None else groups[rest]
        val, test = train_test_split(rest, test_size=test_fraction / held_out, random_state=seed, stratify=groups)
    except ValueError as error:
        raise DifflabError(
            f"{len(ids)} samples cannot be split with stratification on {', '.join(map(str, strata.columns))} "
            f"({error}): choose other attributes in split.stratify, or more rows"
        ) from None
    return {name: [ids[i] for i in sorted(part)] for name, part in zip(SPLITS, (train, val, test), strict=True)}

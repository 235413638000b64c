"""The miniature data set: which digit and which photograph stand behind each bundled image.

It mirrors CelebA and CelebA-HQ. The "in the wild" set holds every digit once (image n + 1 shows digit n), the
HQ set 1,500 of them, and a mapping connects the two. Validation and test images therefore show digits that no
zoo model and no fine-tuning has seen, as long as these train on `training_digits` only.
"""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from difflab.core.base import rng as keyed
from difflab.core.base.store.split import split_ids
from difflab.miniature.data.blend import PHOTO_NAMES, Composite, compose_many
from difflab.miniature.data.sources import digits

if TYPE_CHECKING:
    from difflab.images.params import SplitParams

SEED = 0  # of the data set, which is one set as the published ones are: the study's `seed` is of trainings and samples
HQ_IMAGES = 1_500
IMAGE_SIZE = 32


def photo_of(digit_index: int, seed: int) -> str:
    """The photograph behind a digit of the data set."""
    return PHOTO_NAMES[keyed.key(seed, "bundled photo", digit_index) % len(PHOTO_NAMES)]


def hq_digits(seed: int) -> np.ndarray:
    """The digit behind each HQ image, int64 [1500], no digit twice."""
    return keyed.numpy_rng(seed, "bundled hq").permutation(len(digits().labels))[:HQ_IMAGES]


@cache
def hq_images(seed: int) -> list[Composite]:
    """The HQ images, uint8 [32, 32, 3] each; entry n is image n."""
    chosen = hq_digits(seed).tolist()
    photo_names = [photo_of(digit, seed) for digit in chosen]
    rngs = [keyed.numpy_rng(seed, "bundled hq image", digit) for digit in chosen]
    return compose_many(chosen, photo_names, rngs, [(IMAGE_SIZE, IMAGE_SIZE)] * HQ_IMAGES)


def training_digits(split: "SplitParams", seed: int = SEED) -> np.ndarray:
    """Digits (rows of `digits()`, ascending) that no validation or test image of the miniature shows."""
    return np.setdiff1d(np.arange(len(digits().labels)), held_out_digits(split, seed))


def held_out_digits(split: "SplitParams", seed: int = SEED) -> np.ndarray:
    """Digits (rows of `digits()`, ascending) behind the miniature's validation and test images."""
    table = pd.DataFrame([image.attributes for image in hq_images(seed)[: split.max_rows]])
    strata = table[list(split.stratify.miniature)]
    parts = split_ids(range(len(table)), strata, split.val_fraction, split.test_fraction, split.seed)
    return np.sort(hq_digits(seed)[parts["val"] + parts["test"]])

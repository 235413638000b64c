"""Kernel distance between two sets of features (KID, Binkowski et al. 2018, arXiv:1801.01401).

The unbiased estimate of the squared maximum mean discrepancy with the kernel k(x, y) = (x.y / d + 1)^3. Its
expectation does not depend on the number of images, so it can be below zero for two sets of one distribution.
"""

import numpy as np

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError


def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cubic polynomial kernel of features [n_a, d] and [n_b, d]: [n_a, n_b]."""
    linear = a @ b.T / a.shape[1] + 1
    return linear * linear * linear  # several times as fast as ** 3


def squared_mmd(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased MMD^2 of two whole sets [n_a, d], [n_b, d] (Gretton et al. 2012, eq. 3: no diagonal terms)."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    within = sum((k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (kernel(a, a), kernel(b, b)))
    return float(within - 2 * kernel(a, b).mean())


def kernel_distance(
    features_a: np.ndarray, features_b: np.ndarray, *, num_subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> float:
    """KID: the mean of the unbiased MMD^2 over subsets drawn without replacement from both sets.

    Sets no larger than `subset_size` are compared once and whole, which is the estimate of least variance.
    The spread over subsets is no error bar (it goes to zero as the subsets grow): take intervals from
    generation seeds.

    Raises:
        DifflabError: fewer than two samples, or different dimensions.
    """
    a, b = np.asarray(features_a, np.float64), np.asarray(features_b, np.float64)
    if min(len(a), len(b)) < 2:
        raise DifflabError(f"KID needs at least 2 images in each set: there are {len(a)} and {len(b)}")
    if a.shape[1] != b.shape[1]:
        raise DifflabError(
            f"features of {a.shape[1]} and {b.shape[1]} dimensions cannot be compared: use one extractor"
        )
    if max(len(a), len(b)) <= subset_size:
        return squared_mmd(a, b)
    return float(np.mean([squared_mmd(*_subset(a, b, subset_size, seed, i)) for i in range(num_subsets)]))


def _subset(a: np.ndarray, b: np.ndarray, size: int, seed: int, index: int) -> list[np.ndarray]:
    draws = rng.numpy_rng(seed, "kid", index)
    return [x[draws.choice(len(x), min(size, len(x)), replace=False)] for x in (a, b)]

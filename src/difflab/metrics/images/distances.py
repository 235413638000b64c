"""Frechet and kernel distances between two sets of features.

Frechet distance (FID, Heusel et al. 2017, arXiv:1706.08500, eq. 6):

    d^2 = |mu_a - mu_b|^2 + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^(1/2))

The last term needs no square root of a matrix that is not symmetric. With any factor S_a = R R^T the matrix
R^T S_b R is symmetric, positive semi-definite and has the non-zero eigenvalues of S_a S_b, so the term is
the sum of the square roots of its eigenvalues. When both sets have fewer samples than dimensions, it is the
sum of the singular values of the small matrix X_a X_b^T of centred samples. Everything is float64: float32
is wrong in the third digit at 2,048 dimensions.

Kernel distance (KID, Binkowski et al. 2018, arXiv:1801.01401): the unbiased estimate of the squared maximum mean
discrepancy with the kernel k(x, y) = (x.y / d + 1)^3. Its expectation does not depend on the number of images, so it
can be below zero for two sets of one distribution.
"""

import warnings

import numpy as np

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError


class RankDeficientWarning(UserWarning):
    """A set has no more samples than dimensions: its covariance is singular, the distance biased upwards."""


def check_count(n: int, *, min_images: int = 2, what: str = "the set") -> None:
    """Refuse a set that is too small for a Frechet distance."""
    if n < 2:
        raise DifflabError(f"{what} has {n} images: a Frechet distance needs at least 2")
    if n < min_images:
        raise DifflabError(
            f"{what} has {n} images, fewer than score.min_images={min_images}: generate more, or lower score.min_images"
        )


def statistics(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [d] and unbiased covariance [d, d] of features [n, d], float64."""
    features = _checked(features, "the set")
    return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False))


def frechet_distance(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """Frechet distance (squared, as FID is) between the normal fits of features [n_a, d] and [n_b, d].

    Warns (`RankDeficientWarning`) where n <= d.

    Raises:
        DifflabError: fewer than two samples, different dimensions, or features that are not finite.
    """
    a, b = checked_pair(features_a, features_b)
    for x, what in ((a, "the first set"), (b, "the second set")):
        check_count(len(x), what=what)
    if min(len(a), len(b)) <= a.shape[1]:
        warnings.warn(
            f"{len(a)} against {len(b)} images for {a.shape[1]} feature dimensions: a covariance is "
            "rank-deficient; compare this distance only with distances at the same n, and look at KID beside it",
            RankDeficientWarning,
            stacklevel=2,
        )
    if max(len(a), len(b)) > a.shape[1]:
        small, large = (a, b) if len(a) <= len(b) else (b, a)
        return from_statistics(*statistics(small), *statistics(large))
    return from_samples(a, b)


def from_samples(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance between two sets [n_a, d], [n_b, d], float64, by a matrix [n_a, n_b]: for fewer samples than d."""
    mu_a, mu_b = a.mean(axis=0), b.mean(axis=0)
    x_a, x_b = (a - mu_a) / np.sqrt(len(a) - 1), (b - mu_b) / np.sqrt(len(b) - 1)
    cross = np.linalg.svd(x_a @ x_b.T, compute_uv=False).sum()
    return _distance(mu_a - mu_b, np.square(x_a).sum(), np.square(x_b).sum(), cross)


def from_statistics(mu_a: np.ndarray, cov_a: np.ndarray, mu_b: np.ndarray, cov_b: np.ndarray) -> float:
    """Frechet distance between two normal distributions: means [d], covariances [d, d].

    The root of the first covariance is a Cholesky factor where that exists, else an eigen-decomposition cut
    at the rounding error. (`scipy.linalg.sqrtm` of the product, as pytorch-fid has it, takes roots of that
    rounding error.)
    """
    try:
        root = np.linalg.cholesky(cov_a)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(cov_a)
        kept = values > max(values[-1], 0) * len(values) * np.finfo(values.dtype).eps
        root = vectors[:, kept] * np.sqrt(values[kept])
    cross = np.sqrt(np.linalg.eigvalsh(root.T @ cov_b @ root).clip(min=0)).sum()
    return _distance(np.asarray(mu_a, np.float64) - mu_b, np.trace(cov_a), np.trace(cov_b), cross)


def _distance(difference: np.ndarray, trace_a: float, trace_b: float, cross: float) -> float:
    # Rounding can take the distance of a set to itself below zero.
    return max(0.0, float(difference @ difference + trace_a + trace_b - 2 * cross))


def _checked(features: np.ndarray, what: str) -> np.ndarray:
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2:
        raise DifflabError(f"{what} of features has shape {features.shape}: [n, d] is needed")
    if not features.shape[1]:
        raise DifflabError(f"{what} has features of no dimension: look at the extractor")
    if not (np.abs(features) <= np.finfo(np.float32).max).all():  # beyond, squares of squares overflow
        raise DifflabError(f"{what} has features that are not finite: look at the images and the extractor")
    return features


def checked_pair(features_a: np.ndarray, features_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of features as float64 [n_a, d] and [n_b, d].

    Raises:
        DifflabError: they are not matrices of equal width, or hold values that are not finite.
    """
    a, b = _checked(features_a, "the first set"), _checked(features_b, "the second set")
    if a.shape[1] != b.shape[1]:
        raise DifflabError(
            f"features of {a.shape[1]} and {b.shape[1]} dimensions cannot be compared: use one extractor"
        )
    return a, b


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
        DifflabError: fewer than two samples, in a subset or in all, different dimensions, or features that are not finite.
    """
    a, b = checked_pair(features_a, features_b)
    if min(len(a), len(b)) < 2:
        raise DifflabError(f"KID needs at least 2 images in each set: there are {len(a)} and {len(b)}")
    if subset_size < 2 or num_subsets < 1:
        raise DifflabError(
            f"KID of {num_subsets} subsets of {subset_size} images: it needs one or more, of 2 or more each"
        )
    if max(len(a), len(b)) <= subset_size:
        return squared_mmd(a, b)
    found = []
    for index in range(num_subsets):
        draws = rng.numpy_rng(seed, "kid", index)
        subsets = [x[draws.choice(len(x), min(subset_size, len(x)), replace=False)] for x in (a, b)]
        found.append(squared_mmd(*subsets))
    return float(np.mean(found))

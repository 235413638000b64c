"""Quality and variety of generated images apart, by nearest neighbours, and the Frechet distance without its bias.

A set's manifold is the union of balls around its samples, each as wide as the way to its k-th nearest neighbour in
the set. Precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991, eq. 1-2) are the share of generated samples
within the reference's manifold and the share of reference samples within the generated one. Density and coverage (Naeem
et al. 2020, arXiv:2002.09797, eq. 3-4) ask the reference's balls alone, in which outliers count for less: how
many hold a generated sample, and how many hold one at all. All depend on k and on both sizes: compare at the same.

Distances are summed in one order by a scalar loop of float64, so that the shares are the same on any processor.
"""

from collections.abc import Iterator

import numpy as np

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.metrics.images.distances import check_count, checked_pair, from_samples, from_statistics, statistics

_BLOCK = 1024  # rows whose distances to all others are in memory at once
_POINTS = 15  # numbers of images that the Frechet distance is extrapolated from


def precision_recall(features: np.ndarray, reference: np.ndarray, k: int = 3) -> dict[str, float]:
    """`precision` and `recall` of generated features [n, d] against reference features [m, d], in [0, 1].

    Raises:
        DifflabError: a set has no more than k samples, dimensions differ, or features are not finite.
    """
    features, reference = checked_pair(features, reference)
    return {
        "precision": _share_within(features, reference, radii(reference, k)),
        "recall": _share_within(reference, features, radii(features, k)),
    }


def density_coverage(features: np.ndarray, reference: np.ndarray, k: int = 5) -> dict[str, float]:
    """`density` (from 0; 1 is expected of samples of the reference's distribution) and `coverage` in [0, 1].

    Args:
        features: generated, [n, d].
        reference: [m, d].
        k: neighbours; 5 as published, at which coverage of one distribution is expected to be 0.97.

    Raises:
        DifflabError: the reference has no more than k samples, there are no others, dimensions differ, or features are
            not finite.
    """
    features, reference = checked_pair(features, reference)
    if not len(features):
        raise DifflabError("there is no generated image, of which density and coverage need one")
    widths, held, covered = radii(reference, k), 0, np.zeros(len(reference), bool)
    for distances in _distances(features, reference):
        within = distances <= widths
        held += int(within.sum())
        covered |= within.any(axis=0)
    return {"density": held / (k * len(features)), "coverage": float(covered.mean())}


def extrapolated_fid(features: np.ndarray, reference: np.ndarray, seed: int = 0) -> float:
    """The Frechet distance of infinitely many generated images (FID-infinity, Chong and Forsyth 2020, arXiv:1911.07023).

    The distance is a straight line over 1/n up to terms of higher order; the line through the distances of random
    subsets from half of the images to all is read at 1/n = 0. The reference stays as it is, with its own bias. Unlike a
    distance, the result can be below zero, and it varies from draw to draw about 1.5 times as much as the distance of
    all images. With fewer images than twice the dimensions it is too low, though nearer than the distance: of 150 pictures
    in the vision encoder's 96 dimensions 2.4 on average, where 10,000 have a distance of 3.0 and 150 one of 6.7.

    Args:
        features: generated, [n, d].
        reference: [m, d].
        seed: of the subsets.

    Raises:
        DifflabError: fewer than four generated or two reference images, dimensions differ, or features are not finite.
    """
    features, reference = checked_pair(features, reference)
    count = len(features)
    check_count(len(reference), what="the reference")
    if count < 4:
        raise DifflabError(f"{count} images: an extrapolated FID needs at least 4, half of which have a covariance")
    few = (
        max(count, len(reference)) <= features.shape[1]
    )  # then matrices of samples serve, those of dimensions take minutes
    real = None if few else statistics(reference)
    sizes = np.linspace(count // 2, count, _POINTS).astype(int)
    found = []
    for index, size in enumerate(sizes):
        rows = rng.numpy_rng(seed, "extrapolated fid", index).choice(count, size, replace=False)
        drawn = features[rows]
        found.append(from_samples(drawn, reference) if real is None else from_statistics(*real, *statistics(drawn)))
    return float(np.polynomial.Polynomial.fit(1 / sizes, found, 1)(0))


def radii(features: np.ndarray, k: int) -> np.ndarray:
    """The distance of each row of features [n, d] to its k-th nearest other row, float64 [n].

    Raises:
        DifflabError: k is below 1, or there are no more than k rows.
    """
    if not 1 <= k < len(features):
        raise DifflabError(f"{len(features)} images have no {k}. nearest neighbours: give k from 1 to n - 1")
    return np.concatenate([np.partition(d, k, axis=1)[:, k] for d in _distances(features, features)])  # 0: itself


def _share_within(features: np.ndarray, centres: np.ndarray, widths: np.ndarray) -> float:
    """The share of features that lie in one ball or more."""
    return float(np.concatenate([(d <= widths).any(axis=1) for d in _distances(features, centres)]).mean())


def _distances(a: np.ndarray, b: np.ndarray) -> Iterator[np.ndarray]:
    """Euclidean distances of blocks of rows of a to all rows of b."""
    from scipy.spatial.distance import cdist

    for start in range(0, len(a), _BLOCK):
        yield cdist(a[start : start + _BLOCK], b)

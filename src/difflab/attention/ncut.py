"""Normalised cuts: clusters and colours of tokens by the eigenvectors of their normalised affinity.

Shi and Malik 2000, "Normalized cuts and image segmentation", equations 6 and 10. Everything is deterministic: a symmetric
solver, a rule for signs, landmarks drawn from a seed.
"""

import math
from typing import NamedTuple

import numpy as np

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError

EXACT_UP_TO = 3_000
"""Tokens of which all affinities are decomposed; of more, those to landmarks (`_nystrom`)."""
LANDMARKS = 1_000
_FLOOR = 1e-7  # eigenvalues of the landmarks' affinities below this share of the greatest are rounding


class Cut(NamedTuple):
    """The greatest eigenvalues of D^-1/2 W D^-1/2 (1 first), descending, float64 [k], and its eigenvectors [n, k].

    Columns have length 1, and their entry of the greatest size is positive.
    """

    values: np.ndarray
    vectors: np.ndarray


def similarity(features: np.ndarray, scale: float = 0.5) -> np.ndarray:
    """The affinity exp((cosine - 1) / scale) in 0..1 of features [n, d]: float64 [n, n]."""
    return _similar(_unit(features), _unit(features), scale)


def normalised_cut(affinity: np.ndarray, count: int) -> Cut:
    """The first `count` eigenvectors of a symmetric affinity W >= 0, [n, n], by LAPACK.

    Raises:
        DifflabError: W is not symmetric, negative or not finite, a token has no affinity, or `count` is not in 1..n.
    """
    from scipy.linalg import eigh

    weights = np.asarray(affinity, np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any() or not np.allclose(weights, weights.T, atol=1e-6):
        raise DifflabError(
            "affinities to cut must be symmetric, finite and not negative: take similarities, or W + W^T"
        )
    _check_count(count, len(weights))
    degree = weights.sum(1)
    if not (degree > 0).all():
        raise DifflabError(f"token {int(degree.argmin())} has no affinity to any other: leave it out of the cut")
    scaled = weights / np.sqrt(degree[:, None] * degree)
    values, vectors = eigh((scaled + scaled.T) / 2, subset_by_index=(len(weights) - count, len(weights) - 1))
    return Cut(values[::-1].copy(), _signed(vectors[:, ::-1]))


def cut_features(features: np.ndarray, count: int, seed: int = 0, scale: float = 0.5) -> Cut:
    """`normalised_cut` of the similarity of features [n, d], exact up to `EXACT_UP_TO` tokens, else by landmarks."""
    if not np.isfinite(features).all():
        raise DifflabError("the features to cut are not finite: look at the network that made them")
    if len(features) <= EXACT_UP_TO:
        return normalised_cut(similarity(features, scale), count)
    return _nystrom(np.asarray(features, np.float64), count, LANDMARKS, seed, scale)


def _nystrom(features: np.ndarray, count: int, landmarks: int, seed: int, scale: float) -> Cut:
    """The cut of W ~ C A^+ C^T, with the affinities C [n, m] to m landmarks and A [m, m] among them.

    Fowlkes et al. 2004, "Spectral grouping using the Nystrom method": the affinity is a positive kernel, so the rows
    G = C A^-1/2 give W ~ G G^T, degrees follow from sums of G, and the singular vectors of D^-1/2 G are eigenvectors,
    orthogonal to each other. Memory is that of two matrices [n, m].
    """
    from scipy.linalg import eigh

    _check_count(count, landmarks)
    unit = _unit(features)
    chosen = np.sort(rng.numpy_rng(seed, "ncut landmarks").permutation(len(unit))[:landmarks])
    across = _similar(unit, unit[chosen], scale)
    values, vectors = eigh(across[chosen])
    kept = values > _FLOOR * values[-1]
    rows = across @ (vectors[:, kept] / np.sqrt(values[kept]))
    degree = np.maximum(rows @ rows.sum(0), _FLOOR)
    rows /= np.sqrt(degree)[:, None]
    gram, basis = eigh(rows.T @ rows)
    leading = slice(None, -count - 1, -1)
    found = np.maximum(gram[leading], _FLOOR)
    return Cut(found, _signed(rows @ (basis[:, leading] / np.sqrt(found))))


def clusters(cut: Cut, count: int) -> np.ndarray:
    """Each token's cluster, int64 [n] in 0..count-1, from the first `count` eigenvectors.

    By the pivoted QR decomposition of Damle, Minden and Ying 2019, "Simple, direct and efficient multi-way spectral
    clustering": no starting point is drawn. Clusters are numbered by their first token.
    """
    from scipy.linalg import qr, svd

    _check_count(count, cut.vectors.shape[1])
    vectors = cut.vectors[:, :count]
    _, _, pivots = qr(vectors.T, pivoting=True)
    left, _, right = svd(vectors[pivots[:count]].T)
    label = np.abs(vectors @ (left @ right)).argmax(1)
    order = list(dict.fromkeys(label.tolist()))
    return np.array([order.index(number) for number in label.tolist()], np.int64)


def colours(cut: Cut, reference: np.ndarray | None = None) -> np.ndarray:
    """A colour of each token, float64 [n, 3] in 0..1: tokens of one cluster look alike.

    The eigenvectors after the first, which tells nothing, each weighted by its eigenvalue and divided by the first (the
    generalised eigenvectors of Shi and Malik), turned to their three principal directions. Where a `reference` is given
    (coordinates of the same tokens under another model), they are turned to it by orthogonal Procrustes, so that one
    colour means one thing in both.
    """
    return in_colour(coordinates(cut, reference))


def coordinates(cut: Cut, reference: np.ndarray | None = None) -> np.ndarray:
    """What `colours` are made of, float64 [n, 3], centred with a mean square of 1; the `reference` of other ones."""
    from scipy.linalg import orthogonal_procrustes

    first = np.maximum(np.abs(cut.vectors[:, :1]), 1 / (1e3 * math.sqrt(len(cut.vectors))))
    points = cut.vectors[:, 1:] / first * cut.values[1:]
    points = points - points.mean(0)
    left, sizes, _ = np.linalg.svd(points, full_matrices=False)
    points = _signed(left[:, :3]) * sizes[:3]
    points = np.pad(points, ((0, 0), (0, 3 - points.shape[1])))
    points /= max(math.sqrt(np.square(points).mean()), 1e-12)
    if reference is None:
        return points
    if reference.shape != points.shape:
        raise DifflabError(
            f"colours of {len(points):,} tokens cannot follow those of {len(reference):,}: take the same"
        )
    return points @ orthogonal_procrustes(points, reference)[0]


def in_colour(points: np.ndarray) -> np.ndarray:
    """Coordinates within 2 standard deviations of the mean, moved to 0..1: fixed, so that aligned ones stay so."""
    return np.clip(points / 4 + 0.5, 0, 1)


def _signed(vectors: np.ndarray) -> np.ndarray:
    """Columns whose entry of the greatest size (the first of several, up to rounding) is positive."""
    size = np.abs(vectors)
    place = (size >= size.max(0) * (1 - 1e-9)).argmax(0)
    signs = np.sign(vectors[place, np.arange(vectors.shape[1])])
    return vectors * np.where(signs == 0, 1, signs)


def _unit(features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, np.float64)
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def _similar(a: np.ndarray, b: np.ndarray, scale: float) -> np.ndarray:
    similar = a @ b.T
    similar -= 1
    similar /= scale
    return np.exp(similar, out=similar)


def _check_count(count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise DifflabError(f"{count} eigenvectors: between 1 and {most} can be taken")

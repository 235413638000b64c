"""Near-duplicate pictures: a perceptual hash proposes pairs, the correlation of their colours decides."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import numpy as np
from PIL import Image

_SIDE, _LOW = 32, 8  # sides of the grey thumbnail, and of its low frequencies and of the coloured thumbnail
_BLANK = 4  # levels of 255: a channel of a picture of one colour spans fewer
_BLOCK = 64  # pictures compared with all others at once


class ImageHashes(NamedTuple):
    """What n pictures are compared by."""

    hashes: np.ndarray  # uint64 [n], see `hashes`
    colours: np.ndarray  # uint8 [n, 8, 8, 3], thumbnails
    blank: np.ndarray  # bool [n], pictures of one colour, whose hash is meaningless

    def take(self, rows: Sequence[int]) -> "ImageHashes":
        """The hashes of some pictures."""
        return ImageHashes(*(part[np.asarray(rows, np.int64)] for part in self))


def image_hashes(images: Iterable[Image.Image]) -> ImageHashes:
    """Hashes of pictures of any size, one of which is in memory at a time."""
    grey, colours, blank = [], [], []
    for image in images:
        image = image.convert("RGB")
        grey.append(np.asarray(image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)))
        colours.append(np.asarray(image.resize((_LOW, _LOW), Image.Resampling.LANCZOS)))
        extrema = cast("tuple[tuple[int, int], ...]", image.getextrema())
        blank.append(max(high - low for low, high in extrema) < _BLANK)
    shaped = np.array(colours, np.uint8).reshape(-1, _LOW, _LOW, 3)
    return ImageHashes(hashes(np.array(grey, np.uint8).reshape(-1, _SIDE, _SIDE)), shaped, np.array(blank, bool))


def hashes(grey: np.ndarray) -> np.ndarray:
    """The 64-bit DCT hash ("pHash", Zauner 2010) of grey thumbnails uint8 [n, 32, 32], as uint64 [n].

    A bit for each of the 8 x 8 lowest frequencies, row by row from the highest bit on: whether it is above
    their median. Bit for bit the `phash` of the package imagehash, which depends on a wavelet library.
    """
    from scipy.fft import dctn

    low = dctn(grey.astype(np.float64), axes=(1, 2))[:, :_LOW, :_LOW].reshape(len(grey), _LOW * _LOW)
    low = low.round(6)  # symmetric pictures: zeros, which rounding errors would scatter around the median
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)


def near_groups(found: ImageHashes, max_hamming_distance: int, min_correlation: float) -> np.ndarray:
    """Groups of near-duplicates: the transitive closure of nearness.

    Two pictures are near when their hashes differ in at most `max_hamming_distance` of 64 bits and their
    colours correlate by at least `min_correlation` (Pearson, over the thumbnail's pixels and channels).

    Returns:
        int64 [n], the row of the first picture of each picture's group.
    """
    near = [np.empty((0, 2), np.int64)]
    for start in range(0, len(found.hashes), _BLOCK):
        block = slice(start, start + _BLOCK)
        close = np.bitwise_count(found.hashes[block, None] ^ found.hashes[None, start:]) <= max_hamming_distance
        near.append(
            start + np.argwhere(close & correlated(found.colours[block], found.colours[start:], min_correlation))
        )
    return components(len(found.hashes), np.concatenate(near))


def near_pairs(a: ImageHashes, b: ImageHashes, max_hamming_distance: int, min_correlation: float) -> np.ndarray:
    """The pairs of pictures of `a` and of `b` that are near, see `near_groups`: int64 [m, 2], their rows, ascending."""
    near = [np.empty((0, 2), np.int64)]
    for start in range(0, len(a.hashes), _BLOCK):
        block = slice(start, start + _BLOCK)
        close = np.bitwise_count(a.hashes[block, None] ^ b.hashes[None]) <= max_hamming_distance
        columns = np.flatnonzero(close.any(0))
        if len(columns):
            both = close[:, columns] & correlated(a.colours[block], b.colours[columns], min_correlation)
            rows = np.argwhere(both)
            near.append(np.stack([start + rows[:, 0], columns[rows[:, 1]]], 1))
    return np.concatenate(near)


def correlated(a: np.ndarray, b: np.ndarray, least: float) -> np.ndarray:
    """Whether thumbnails uint8 [n, ...] and [m, ...] of at most 258 values correlate by at least `least` > 0: bool [n, m].

    The same answer on every processor: sums are of integers up to 2^24, which are exact in float32 in any order, and the
    rest is integers, one square root and one product, which are correctly rounded. Equal thumbnails correlate by exactly 1,
    those of one level with nothing.
    """
    a, b = (x.reshape(len(x), -1).astype(np.float32) for x in (a, b))
    count = a.shape[1]
    sums_a, sums_b = (x.sum(1).astype(np.int64) for x in (a, b))
    spread_a, spread_b = (count * (x * x).sum(1).astype(np.int64) - sums**2 for x, sums in ((a, sums_a), (b, sums_b)))
    shared = count * (a @ b.T).astype(np.int64) - sums_a[:, None] * sums_b
    return shared >= least * np.sqrt(np.maximum(spread_a[:, None] * spread_b, 1))


def components(n: int, pairs: np.ndarray) -> np.ndarray:
    """The connected components of n rows joined by pairs int [m, 2]: the first row of each row's component."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    labels = connected_components(graph, directed=False)[1]
    first, inverse = np.unique(labels, return_index=True, return_inverse=True)[1:]
    return first[inverse].astype(np.int64)

"""How sure a mean over seeds and images is, a difference of two systems, and what is computed from several means."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.metrics.uncertainty.intervals import student

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

Name = TypeVar("Name")


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and images with its 95 % interval, which has no width where all values are equal."""

    mean: float
    low: float
    high: float
    standard_error: float
    freedom: float  # of the Student quantile; infinite where all values are equal


def difference(system: "pd.DataFrame", baseline: "pd.DataFrame") -> Interval:
    """The interval of the mean of `system` - `baseline`, paired by seed and by image.

    Raises:
        DifflabError: the seeds (index) or the images (columns) of the two differ; or as `interval`.
    """
    for what, ours, theirs in (("seeds", system.index, baseline.index), ("images", system.columns, baseline.columns)):
        if odd := sorted(set(ours) ^ set(theirs)):
            raise DifflabError(
                f"a paired difference needs the same {what} on both sides: {len(odd)} stand on one only, first {odd[0]}"
            )
    return interval(system - baseline)


def interval(values: "pd.DataFrame") -> Interval:
    """The mean over seeds and images, whose interval counts both as samples.

    A two-way analysis of variance with random effects of the seed, of the image, and of both together (Searle, Casella
    and McCulloch 1992): a seed's luck with all images and an image's with all seeds both count whole, the noise of
    single values once. An effect of seeds or images that is estimated below zero counts as zero.

    The interval is mean +- t x standard error. The degrees of freedom of t follow from how much of the variance
    comes from the few seeds (Satterthwaite 1946).

    Args:
        values: one value for each training seed (index) and image (columns), in any order.

    Raises:
        DifflabError: fewer than two seeds or images, one of them twice, or a value is missing or infinite.
    """
    table = _checked(values)
    if not np.ptp(table):
        return Interval(*[float(table[0, 0])] * 3, standard_error=0.0, freedom=math.inf)
    by_seed, by_image, rest = mean_squares(table)
    parts = max(by_seed, rest), max(by_image, rest), rest
    variance = parts[0] + parts[1] - rest
    freedom = variance**2 / sum(v**2 / f for v, f in zip(parts, _freedoms(table), strict=True))
    mean, half = float(table.mean()), student(freedom) * math.sqrt(variance)
    return Interval(mean, mean - half, mean + half, math.sqrt(variance), freedom)


def drawn_means(tables: "Mapping[Name, pd.DataFrame]", *, seed: int, resamples: int) -> "dict[Name, np.ndarray]":
    """The means of several systems, of seeds and images that are drawn again, each apart from the other.

    The pigeonhole bootstrap (Owen 2007, "The pigeonhole bootstrap"): for the interval of what is computed from several
    means, see `percentiles`. One fewer of each is drawn than there are, which takes out the shortfall of (n - 1) / n
    that matters with five seeds (Rao and Wu 1988). Its variance is never too small on average; where only noise of
    single values matters, it counts that up to three times.

    Args:
        tables: of each system one value for each training seed (index) and image (columns). The images are the same
            for all; systems with the same seeds are paired by them, those with others or more are drawn apart.

    Returns:
        For each system float64 [resamples].

    Raises:
        DifflabError: as `interval`.
    """
    means, images = {}, None
    for name, values in tables.items():
        table = _checked(values)
        if images is None:
            images = _shares(table.shape[1], resamples, seed, "images")
        seeds = _shares(table.shape[0], resamples, seed, "seeds", *sorted(values.index))
        means[name] = ((seeds @ table) * images).sum(axis=1)
    return means


def percentiles(draws: np.ndarray, freedom: float) -> tuple[float, float]:
    """The 95 % interval of what was drawn [resamples]: percentiles that lie as far out as Student's t does.

    Those at 2.5 and 97.5 % are too narrow where a few seeds decide ("expanded percentile", Hesterberg 2015, "What
    teachers should know about the bootstrap").
    """
    from scipy.stats import norm

    tail = float(norm.sf(student(freedom)))
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def mean_squares(values: np.ndarray) -> list[float]:
    """The mean squares of values [seeds, images] by seeds, by images and of the rest, each of the mean of all values.

    Where seeds do not matter the first is on average the third, where images do not, the second.
    """
    by_seed = values.mean(axis=1, keepdims=True) - values.mean()
    by_image = values.mean(axis=0, keepdims=True) - values.mean()
    rest = values - values.mean() - by_seed - by_image
    parts = zip((by_seed, by_image, rest), _freedoms(values), strict=True)
    return [float((part**2).mean() / freedom) for part, freedom in parts]


def _freedoms(values: np.ndarray) -> tuple[int, int, int]:
    seeds, images = values.shape
    return seeds - 1, images - 1, (seeds - 1) * (images - 1)


def _shares(count: int, resamples: int, seed: int, *key: object) -> np.ndarray:
    """How large a share each of `count` things has in each draw of count - 1 of them: float64 [resamples, count]."""
    generator = rng.numpy_rng(seed, "pigeonhole bootstrap", *key)
    return generator.multinomial(count - 1, np.full(count, 1 / count), resamples) / (count - 1)


def _checked(values: "pd.DataFrame") -> np.ndarray:
    for what, labels in (("seeds", values.index), ("images", values.columns)):
        if len(labels) < 2:
            raise DifflabError(f"an interval over {what} needs two or more of them, not {len(labels)}")
        if not labels.is_unique:
            raise DifflabError(f"{what} occur twice, first {labels[labels.duplicated()][0]}: give each one value")
    ordered = values.sort_index(axis=0).sort_index(axis=1)
    table = ordered.to_numpy(dtype=np.float64)
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0]
        said = "missing" if np.isnan(table[row, column]) else "infinite"
        raise DifflabError(
            f"the value of seed {ordered.index[row]} and image {ordered.columns[column]} is {said}: score it first"
        )
    return table

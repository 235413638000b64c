"""How far a score moves when a model is trained again: intervals of cells that have a few trainings each.

Two trainings of one cell say little of their spread, but a table has many cells: their variances within cells are pooled
(one-way analysis of variance), which gives one spread with `cells x (trainings - 1)` degrees of freedom for all of them.
A training's value is the mean over its own generation seeds, and no two trainings share one, so that the spread
between trainings contains that of generation.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from difflab.core.base.errors import DifflabError

RELATIVE = ("fid", "kid")
"""Measures whose spread grows with their level: their pooled spread is a share of the cell's mean."""


@dataclass(frozen=True)
class Spread:
    """The standard deviation between trainings of one cell, pooled over the cells of a table.

    Attributes:
        size: in the measure's unit, or, where `relative`, as a share of the cell's mean.
        freedom: degrees of freedom; 0 where every cell was trained once, and nothing is known.
    """

    size: float
    freedom: int
    relative: bool = False

    def of(self, mean: float) -> float:
        """The standard deviation of one training of a cell with this mean."""
        return self.size * abs(mean) if self.relative else self.size


def pooled_spread(cells: Mapping[str, Sequence[float]], *, relative: bool = False) -> Spread:
    """The spread within the cells: for each cell the values of its trainings, of which all have equally many.

    Raises:
        DifflabError: no cell, cells with unequal numbers of trainings, a value that is not finite, or, where
            `relative`, a cell whose mean is not positive.
    """
    counts = {name: len(values) for name, values in cells.items()}
    if not counts or not min(counts.values()):
        raise DifflabError("a spread needs cells with one training or more each")
    if len(set(counts.values())) > 1:
        few, many = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        raise DifflabError(
            f"cells have unequal numbers of trainings ({few} {counts[few]}, {many} {counts[many]}): give all the same seeds"
        )
    variances = []
    for name, values in cells.items():
        if not np.isfinite(values).all():
            raise DifflabError(f"{name} has a value that is not finite: no spread can be taken from it")
        mean = float(np.mean(values))
        if relative and mean <= 0:
            raise DifflabError(f"{name} has the mean {mean:.4g}: a relative spread needs positive values")
        variances.append(float(np.var(values, ddof=1)) / (mean**2 if relative else 1) if len(values) > 1 else 0.0)
    freedom = len(cells) * (next(iter(counts.values())) - 1)
    return Spread(math.sqrt(float(np.mean(variances))), freedom, relative)


def mean_interval(mean: float, trainings: int, spread: Spread, level: float = 0.95) -> tuple[float, float]:
    """The interval of a cell's true mean, of which `mean` is that of `trainings` trainings.

    Raises:
        DifflabError: the spread is not known, since no cell was trained twice.
    """
    half = _student(spread, level) * spread.of(mean) / math.sqrt(trainings)
    return mean - half, mean + half


def prediction_interval(
    mean: float, trainings: int, spread: Spread, again: int | None = None, level: float = 0.95
) -> tuple[float, float]:
    """Where the mean of `again` (by default as many) new trainings of the cell will lie.

    Raises:
        DifflabError: the spread is not known, since no cell was trained twice.
    """
    half = _student(spread, level) * spread.of(mean) * math.sqrt(1 / trainings + 1 / (again or trainings))
    return mean - half, mean + half


def with_intervals(cells: Mapping[str, Sequence[float]], measure: str) -> dict[str, float]:
    """Flat metrics of one measure of a table's cells, each with the values of its trainings.

    Returns:
        `<cell>_<measure>`, the mean over trainings, and its 95 % interval `..._low`, `..._high`; once for the table
        `<measure>_spread` (`<measure>_relative_spread`, as a share of the mean, for distances) and `<measure>_freedom`.
        Where cells were trained once, the means alone.
    """
    means = {cell: float(np.mean(values)) for cell, values in cells.items()}
    relative = measure in RELATIVE and min(means.values()) > 0
    spread = pooled_spread(cells, relative=relative)
    metrics = {}
    for cell, values in cells.items():
        metrics[f"{cell}_{measure}"] = means[cell]
        if spread.freedom:
            low, high = mean_interval(means[cell], len(values), spread)
            metrics |= {f"{cell}_{measure}_low": low, f"{cell}_{measure}_high": high}
    if spread.freedom:
        name = f"{measure}_relative_spread" if relative else f"{measure}_spread"
        metrics |= {name: spread.size, f"{measure}_freedom": spread.freedom}
    return metrics


def _student(spread: Spread, level: float) -> float:
    if not spread.freedom:
        raise DifflabError("every cell was trained once: an interval needs two trainings or more")
    from scipy.stats import t

    return float(t.ppf((1 + level) / 2, spread.freedom))

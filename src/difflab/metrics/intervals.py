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


def difference(
    a: float, b: float, trainings: int, spread: Spread, others: int | None = None, level: float = 0.95
) -> tuple[float, float, float]:
    """`a` - `b` of two cells' means with the interval of its true value: (difference, low, high).

    Args:
        trainings: how many trainings stand behind `a`; behind `b` stand `others`, by default as many.

    Raises:
        DifflabError: the spread is not known, since no cell was trained twice.
    """
    half = _student(spread, level) * math.sqrt(
        spread.of(a) ** 2 / trainings + spread.of(b) ** 2 / (others or trainings)
    )
    return a - b, a - b - half, a - b + half


def equivalence(
    a: float,
    b: float,
    trainings: int,
    spread: Spread,
    margin: float,
    *,
    lower_is_better: bool,
    others: int | None = None,
) -> str:
    """What is known of `a` beside `b`: "better", "worse", "equal" within the margin, or "open".

    Equal: two one-sided tests at 5 % (Schuirmann 1987), that is, the 90 % interval of the difference lies within
    +- margin; a clear difference that is known to be that small is equal too. Better or worse: its 95 % interval
    leaves out 0. Open: neither, more trainings would tell.

    Args:
        margin: the largest difference that does not matter; where the spread is relative, as a share of `b`.

    Raises:
        DifflabError: the margin is not positive, or the spread is not known.
    """
    if not margin > 0:
        raise DifflabError(f"a margin of {margin:g} makes nothing equal: give a positive one")
    limit = margin * abs(b) if spread.relative else margin
    _, low, high = difference(a, b, trainings, spread, others, level=0.9)
    if -limit < low and high < limit:
        return "equal"
    _, low, high = difference(a, b, trainings, spread, others)
    if low <= 0 <= high:
        return "open"
    return "better" if (high < 0) == lower_is_better else "worse"


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
    return student(spread.freedom, level)


def student(freedom: float, level: float = 0.95) -> float:
    """Half the width, in standard errors, of a two-sided interval with these degrees of freedom (Student's t)."""
    from scipy.special import stdtrit  # scipy.stats takes a second to import

    return float(stdtrit(freedom, (1 + level) / 2))

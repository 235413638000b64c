"""How far a score moves when a model is trained again: intervals of cells that have a few trainings each.

Two trainings of one cell say little of their spread, but a table has many cells: their variances within cells are pooled
(one-way analysis of variance), which gives one spread with `cells x (trainings - 1)` degrees of freedom for all of them.
A training's value is the mean over its own generation seeds, and no two trainings share one, so that the spread
between trainings contains that of generation.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from difflab.core.base.errors import DifflabError

RELATIVE = ("fid", "kid", "drift_kid")
"""Measures whose spread grows with their level: their pooled spread is a share of the cell's mean."""
SHARES = ("accuracy", "correct", "precision", "recall", "coverage")
"""How the names of measures within 0..1 end. Near the ends they spread less: they are pooled as angles asin(sqrt(p)),
whose spread hardly depends on p (Bartlett 1936), and no interval leaves 0..1."""
Scale = Literal["absolute", "relative", "share"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Spread:
    """The standard deviation between trainings of one cell, pooled over the cells of a table.

    Attributes:
        size: in the measure's unit ("absolute"), as a share of the cell's mean ("relative"), or of the angle in
            radians ("share").
        freedom: degrees of freedom; 0 where every cell was trained once, and nothing is known.
    """

    size: float
    freedom: int
    scale: Scale = "absolute"

    def around(self, mean: float, errors: float) -> Interval:
        """The ends of `errors` standard deviations to both sides of a mean."""
        if self.scale == "share":
            middle, half = _angle(mean), errors * self.size
            low, high = math.sin(max(middle - half, 0.0)) ** 2, math.sin(min(middle + half, math.pi / 2)) ** 2
            return min(low, mean), max(high, mean)  # in spite of rounding
        half = errors * self.size * (abs(mean) if self.scale == "relative" else 1.0)
        return mean - half, mean + half


def scale_of(measure: str, means: Iterable[float]) -> Scale:
    """How the spread of a measure is pooled over cells with these means."""
    if measure.endswith(SHARES):
        return "share"
    return "relative" if measure in RELATIVE and min(means) > 0 else "absolute"


def pooled_spread(cells: Mapping[str, Sequence[float]], scale: Scale = "absolute") -> Spread:
    """The spread within the cells: for each cell the values of its trainings, of which all have equally many.

    Raises:
        DifflabError: no cell, cells with unequal numbers of trainings, a value that is not finite, or one that the
            scale does not know: a mean that is not positive, a share outside 0..1.
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
        if scale == "relative" and mean <= 0:
            raise DifflabError(f"{name} has the mean {mean:.4g}: a relative spread needs positive values")
        if scale == "share" and not 0 <= min(values) <= max(values) <= 1:
            raise DifflabError(f"{name} has a value outside 0..1, which is no share")
        scaled = [_angle(value) for value in values] if scale == "share" else values
        variance = float(np.var(scaled, ddof=1)) if len(values) > 1 else 0.0
        variances.append(variance / (mean**2 if scale == "relative" else 1))
    freedom = len(cells) * (next(iter(counts.values())) - 1)
    return Spread(math.sqrt(float(np.mean(variances))), freedom, scale)


def mean_interval(mean: float, trainings: int, spread: Spread, level: float = 0.95) -> Interval:
    """The interval of a cell's true mean, of which `mean` is that of `trainings` trainings.

    Raises:
        DifflabError: the spread is not known, since no cell was trained twice.
    """
    return spread.around(mean, _student(spread, level) / math.sqrt(trainings))


def prediction_interval(
    mean: float, trainings: int, spread: Spread, again: int | None = None, level: float = 0.95
) -> Interval:
    """Where the mean of `again` (by default as many) new trainings of the cell will lie.

    Raises:
        DifflabError: the spread is not known, since no cell was trained twice.
    """
    return spread.around(mean, _student(spread, level) * math.sqrt(1 / trainings + 1 / (again or trainings)))


def widened(mean: float, interval: Interval, factor: float, scale: Scale) -> Interval:
    """An interval around a mean, `factor` times as wide on its scale; one that 0 or 1 cuts counts by its longer side."""
    if scale == "share":
        half = max(_angle(mean) - _angle(interval[0]), _angle(interval[1]) - _angle(mean))
    else:
        half = (interval[1] - interval[0]) / 2
    return Spread(half, 1, "share" if scale == "share" else "absolute").around(mean, factor)


def apart(a: float, of_a: Interval, b: float, of_b: Interval) -> Interval:
    """The interval of the difference `a` - `b` of two independent values with intervals of their own.

    The ends of both are combined side by side (MOVER, Zou and Donner 2008, eq. 5), so that they need not be symmetric.
    """
    return a - b - math.hypot(a - of_a[0], of_b[1] - b), a - b + math.hypot(of_a[1] - a, b - of_b[0])


def difference(
    a: float, b: float, trainings: int, spread: Spread, others: int | None = None, level: float = 0.95
) -> tuple[float, float, float]:
    """`a` - `b` of two cells' means with the interval of its true value: (difference, low, high).

    Args:
        trainings: how many trainings stand behind `a`; behind `b` stand `others`, by default as many.

    Raises:
        DifflabError: the spread is not known, since no cell was trained twice.
    """
    of_a, of_b = mean_interval(a, trainings, spread, level), mean_interval(b, others or trainings, spread, level)
    return a - b, *apart(a, of_a, b, of_b)


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
    limit = margin * abs(b) if spread.scale == "relative" else margin
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
        `<measure>_spread` (`<measure>_relative_spread`, as a share of the mean, for distances; `<measure>_angle_spread`,
        in radians, for shares) and `<measure>_freedom`. Where cells were trained once, the means alone.
    """
    means = {cell: float(np.mean(values)) for cell, values in cells.items()}
    spread = pooled_spread(cells, scale_of(measure, means.values()))
    metrics = {}
    for cell, values in cells.items():
        metrics[f"{cell}_{measure}"] = means[cell]
        if spread.freedom:
            low, high = mean_interval(means[cell], len(values), spread)
            metrics |= {f"{cell}_{measure}_low": low, f"{cell}_{measure}_high": high}
    if spread.freedom:
        metrics |= {f"{measure}{_KEYS[spread.scale]}": spread.size, f"{measure}_freedom": spread.freedom}
    return metrics


_KEYS: dict[Scale, str] = {"absolute": "_spread", "relative": "_relative_spread", "share": "_angle_spread"}


def _angle(share: float) -> float:
    return math.asin(math.sqrt(min(max(share, 0.0), 1.0)))


def _student(spread: Spread, level: float) -> float:
    if not spread.freedom:
        raise DifflabError("every cell was trained once: an interval needs two trainings or more")
    return student(spread.freedom, level)


def student(freedom: float, level: float = 0.95) -> float:
    """Half the width, in standard errors, of a two-sided interval with these degrees of freedom (Student's t)."""
    from scipy.special import stdtrit  # scipy.stats takes a second to import

    return float(stdtrit(freedom, (1 + level) / 2))

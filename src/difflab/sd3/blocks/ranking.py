"""Which blocks matter: the effect of taking each away, the ranks that follow, and whether the four ways agree.

An effect is that of the cell minus that of the whole base, on the same images and the same noise. Intervals are of 95 %,
over the images: of means Student's, of the Frechet distance that of a jackknife which leaves out a tenth at a time
(Efron 1982, "The Jackknife, the Bootstrap and Other Resampling Plans", chapter 3), of ranks and of Kendall's tau
(Kendall 1938; tau-b) percentiles of a bootstrap that draws the same images for all blocks and ways.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from difflab.core.base import rng
from difflab.metrics.uncertainty.intervals import student
from difflab.sd3.blocks.effects import WHOLE, Seen
from difflab.sd3.blocks.ways import WAYS
from difflab.sd3.training.flow_training import HELD_OUT_SIGMAS

if TYPE_CHECKING:
    from difflab.metrics.uncertainty.intervals import Interval

LOSS = "loss"
RESAMPLES, PARTS = 1000, 10


def effects(cells: Mapping[str, Seen], distance: Callable[[np.ndarray], float]) -> pd.DataFrame:
    """A row for each way, block and measure: effect, low, high.

    Measures are the held-out loss (`loss`, mean over sigmas, and `loss_sigma_0.1`, ...), `fid` and class accuracies.

    Args:
        distance: of features [n, dim] from those of real images.
    """
    whole, rows, known_of_whole = cells[WHOLE], [], {}

    def of_whole(kept: np.ndarray) -> float:
        """Its distance on the pictures `kept`, which all cells ask for."""
        key = kept.tobytes()
        if key not in known_of_whole:
            known_of_whole[key] = distance(whole.features[kept])
        return known_of_whole[key]

    for way, block in itertools.product(WAYS, range(_count(cells))):
        cell = cells[f"{way}-{block}"]
        change = cell.errors - whole.errors
        found = {LOSS: mean_with_interval(change.mean(1))}
        found |= {f"{LOSS}_sigma_{s}": mean_with_interval(change[:, i]) for i, s in enumerate(HELD_OUT_SIGMAS)}
        found["fid"] = jackknifed(lambda kept, c=cell: distance(c.features[kept]) - of_whole(kept), len(cell.features))
        for name, correct in cell.correct.items():
            known = np.isfinite(correct)
            if known.any():
                found[f"{name}_accuracy"] = mean_with_interval((correct - whole.correct[name])[known])
        rows += [
            {"way": way, "block": block, "measure": m, "effect": value, "low": low, "high": high}
            for m, (value, (low, high)) in found.items()
        ]
    return pd.DataFrame(rows)


def mean_with_interval(values: np.ndarray) -> "tuple[float, Interval]":
    """The mean of paired differences [n] and its interval; no width is known of a single one."""
    mean, count = float(values.mean()), len(values)
    half = student(count - 1) * float(values.std(ddof=1)) / count**0.5 if count > 1 else 0.0
    return mean, (mean - half, mean + half)


def jackknifed(statistic: Callable[[np.ndarray], float], count: int) -> "tuple[float, Interval]":
    """A statistic of `count` images and its interval.

    Args:
        statistic: takes the numbers of the images, int64 [m].
    """
    everyone, parts = np.arange(count), min(PARTS, count // 2)
    value = statistic(everyone)
    if parts < 2:
        return value, (value, value)
    left_out = np.array([statistic(everyone[everyone % parts != part]) for part in range(parts)])
    half = student(parts - 1) * float(np.sqrt((parts - 1) * left_out.var()))
    return value, (value - half, value + half)


def importances(cells: Mapping[str, Seen]) -> dict[str, np.ndarray]:
    """By way the increase of the loss of each held-out image without each block, [images, blocks]."""
    whole = cells[WHOLE].errors.mean(1)
    blocks = range(_count(cells))
    return {way: np.stack([cells[f"{way}-{b}"].errors.mean(1) - whole for b in blocks], axis=1) for way in WAYS}


def ranks(importance: np.ndarray) -> np.ndarray:
    """Ranks [..., blocks] of importances [..., blocks]: 1 is the block whose loss hurts most."""
    return 1 + np.argsort(np.argsort(-importance, axis=-1, kind="stable"), axis=-1, kind="stable")


def ranking(by_way: Mapping[str, np.ndarray], seed: int) -> pd.DataFrame:
    """A row for each way and block: importance, rank, and the ends rank_low, rank_high of the rank's interval."""
    rows = []
    for way, importance in by_way.items():
        drawn = _resampled(importance, seed)
        low, high = np.percentile(ranks(drawn), (2.5, 97.5), axis=0, method="nearest")
        mean = importance.mean(0)
        columns = {"importance": mean, "rank": ranks(mean), "rank_low": low.astype(int), "rank_high": high.astype(int)}
        rows.append(pd.DataFrame({"way": way, "block": range(len(mean)), **columns}))
    return pd.concat(rows, ignore_index=True)


def agreement(by_way: Mapping[str, np.ndarray], seed: int) -> pd.DataFrame:
    """A row for each pair of ways: first, second, tau, low, high, and p, the chance of as much in unrelated rankings."""
    from scipy.stats import kendalltau

    drawn, rows = {way: _resampled(importance, seed) for way, importance in by_way.items()}, []
    for first, second in itertools.combinations(by_way, 2):
        found = kendalltau(by_way[first].mean(0), by_way[second].mean(0))
        taus = [kendall_tau(a, b) for a, b in zip(drawn[first], drawn[second], strict=True)]
        low, high = np.percentile(taus, (2.5, 97.5), method="nearest")
        row = {"first": first, "second": second, "tau": found.statistic, "low": low, "high": high, "p": found.pvalue}
        rows.append(row)
    return pd.DataFrame(rows)


def kendall_tau(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """Kendall's tau of two rankings [n] without ties: agreeing minus disagreeing pairs, as a share of all pairs."""
    upper = np.triu_indices(len(a), 1)
    signs = (np.sign(np.subtract.outer(x, x))[upper] for x in (np.asarray(a), np.asarray(b)))
    return float(np.mean(next(signs) * next(signs)))


def _resampled(importance: np.ndarray, seed: int) -> np.ndarray:
    """Bootstrap means [`RESAMPLES`, blocks] over the images, the same images for every way."""
    count = len(importance)
    drawn = rng.numpy_rng(seed, "blocks", "images").integers(count, size=(RESAMPLES, count))
    weights = np.stack([np.bincount(row, minlength=count) for row in drawn])
    return weights @ importance / count


def _count(cells: Mapping[str, Seen]) -> int:
    return (len(cells) - 1) // len(WAYS)


def metrics(found: pd.DataFrame, ranked: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, float]:
    """Flat metrics: `<way>_<block>_loss` and `..._rank` with `_low` and `_high`; `<way>_<way>_tau`; `<way>_fid_tau`.

    The last is the tau between the ranking by loss and that by FID, in one way.
    """
    flat: dict[str, float] = {}
    for row in found[found["measure"] == LOSS].to_dict("records"):
        flat |= _with_ends(f"{row['way']}_{row['block']}_loss", row, "effect", "low", "high")
    for row in ranked.to_dict("records"):
        flat |= _with_ends(f"{row['way']}_{row['block']}_rank", row, "rank", "rank_low", "rank_high")
    for row in pairs.to_dict("records"):
        name = f"{row['first']}_{row['second']}_tau"
        flat |= _with_ends(name, row, "tau", "low", "high") | {f"{name}_p": row["p"]}
    for way in ranked["way"].unique():
        of = {m: found[(found["way"] == way) & (found["measure"] == m)]["effect"].to_numpy() for m in (LOSS, "fid")}
        flat[f"{way}_fid_tau"] = kendall_tau(of[LOSS], of["fid"])
    return flat


def _with_ends(name: str, row: Mapping[Any, Any], value: str, low: str, high: str) -> dict[str, float]:
    return {name: row[value], f"{name}_low": row[low], f"{name}_high": row[high]}

"""The answer by the number of originals: where synthetic data helps, and how many originals a synthetic picture is worth.

Each number of originals has captioners that are trained on them alone, or on them and the synthetic pictures made from
their titles; for each seed other originals are drawn. All caption the same test images.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from difflab.captioning.answer import BASELINE, MAIN, MEASURE_NAMES, verdict
from difflab.metrics.uncertainty.paired import difference, drawn_means, percentiles

MIXED = "mixed"
Metrics = Mapping[str, float]
_SIZE = re.compile(rf"originals_(\d+)_{MIXED}_{MAIN}_difference")
_SIDES = {"better": "helps", "worse": "hurts"}


def summarise(images: pd.DataFrame, runs: pd.DataFrame, *, seed: int, resamples: int) -> dict[str, float]:
    """Flat metrics of CIDEr-D for every number of originals; none where there is one only.

    Args:
        images: a row per run and test image: `data` (original or mixed), `originals`, `seed`, `id` and "cider_d".
        runs: a row per run: `data`, `originals` and `images`, how many it was trained on.
        seed, resamples: of the bootstrap behind the interval of the worth.

    Returns:
        `originals`, all of them. For each number n of them, all included, `originals_<n>_trainings` of each kind of
        data and `originals_<n>_<data>_cider_d`; for mixed `..._difference` to the same originals alone, paired by seed
        and image, and its 95 % interval `..._low`, `..._high`; `originals_<n>_worth`: how many originals one of the
        synthetic pictures beside them is worth, with `_low`, `_high`, and `_reached`, the share of draws in which the
        curve reaches the score.

    Raises:
        DifflabError: the runs of one number differ in their seeds or images, or there are fewer than two seeds.
    """
    keys = ["data", "originals"]
    tables = {
        (str(data), int(size)): own.pivot(index="seed", columns="id", values=MAIN)
        for (data, size), own in images.groupby(keys)  # ty: ignore[not-iterable]
    }
    sizes = sorted({size for _, size in tables})
    if len(sizes) < 2:
        return {}
    draws = drawn_means(tables, seed=seed, resamples=resamples)
    counts = runs.groupby(keys)["images"].mean()
    means = {key: np.array([table.to_numpy().mean()]) for key, table in tables.items()}
    metrics: dict[str, float] = {"originals": sizes[-1]}
    for size in sizes:
        metrics[f"originals_{size}_trainings"] = len(tables[BASELINE, size])
        metrics |= {f"originals_{size}_{data}_{MAIN}": float(means[data, size][0]) for data in (BASELINE, MIXED)}
        found = difference(tables[MIXED, size], tables[BASELINE, size])
        key, name = f"originals_{size}_{MIXED}_{MAIN}_difference", f"originals_{size}_worth"
        metrics |= {key: found.mean, f"{key}_low": found.low, f"{key}_high": found.high}
        worth, drawn = (
            (equivalent(of[MIXED, size], sizes, [of[BASELINE, n] for n in sizes]) - size) / (counts[MIXED, size] - size)
            for of in (means, draws)
        )
        low, high = percentiles(drawn, found.freedom)
        curve = np.stack([draws[BASELINE, n] for n in sizes])
        inside = (draws[MIXED, size] >= curve[0]) & (draws[MIXED, size] <= curve.max(axis=0))
        metrics |= {name: float(worth[0]), f"{name}_low": low, f"{name}_high": high}
        metrics[f"{name}_reached"] = float(inside.mean())
    return metrics


def equivalent(scores: np.ndarray, sizes: Sequence[int], curve: Sequence[np.ndarray]) -> np.ndarray:
    """How many originals alone reach each of the scores [k], on curves of the score at each of the sizes, [k] each.

    The curve is linear in the logarithm of the number, and where it falls it counts as level. A score that it does not
    reach gives its first or last number.
    """
    rising = np.maximum.accumulate(np.stack(curve), axis=0)
    logs = np.log(sizes)
    return np.exp([np.interp(score, own, logs) for score, own in zip(scores, rising.T, strict=True)])


def sizes_of(metrics: Metrics) -> list[int]:
    """The numbers of originals in the metrics of `summarise`, ascending."""
    return sorted(int(match[1]) for key in metrics if (match := _SIZE.fullmatch(key)))


def worth_text(metrics: Metrics, size: int) -> str:
    """What a synthetic picture beside so many originals is worth: "0.21 (0.10 to 0.35)", "above 0.05", "below 0"."""
    value, low, high = (metrics[f"originals_{size}_worth{end}"] for end in ("", "_low", "_high"))
    scores = [metrics[f"originals_{n}_{BASELINE}_{MAIN}"] for n in sizes_of(metrics)]
    score = metrics[f"originals_{size}_{MIXED}_{MAIN}"]
    if not scores[0] <= score <= max(scores):  # beyond the curve
        return f"{'below' if score < scores[0] else 'above'} {value:.2f}".replace("-", "\N{MINUS SIGN}")
    return f"{value:.2f} ({low:.2f} to {high:.2f})".replace("-", "\N{MINUS SIGN}")


def sentences(metrics: Metrics) -> list[str]:
    """Where synthetic data beside the originals helps and hurts, and what one synthetic picture is worth."""
    sizes = sizes_of(metrics)
    if not sizes:
        return []
    told: dict[str, list[str]] = {}
    for size in sizes:
        found = verdict(metrics, f"originals_{size}_{MIXED}", MAIN)
        change = f"{metrics[f'originals_{size}_{MIXED}_{MAIN}_difference']:+.2f}".replace("-", "\N{MINUS SIGN}")
        told.setdefault(_SIDES.get(found, found), []).append(f"{size} ({change})")
    where = "; ".join(f"{word} at {', '.join(some)}" for word, some in told.items())
    first, trainings = sizes[0], [f"{metrics[f'originals_{size}_trainings']:g}" for size in (sizes[0], sizes[-1])]
    return [
        f"**By the number of originals**, synthetic data beside them, in {MEASURE_NAMES[MAIN]}: {where}.",
        f"**One synthetic picture beside {first} originals is worth** {worth_text(metrics, first)} originals; beside "
        + "; beside ".join(f"{size}, {worth_text(metrics, size)}" for size in sizes[1:])
        + ". (95 % intervals over test images and trainings, {} of each number and {} of all.)".format(*trainings),
    ]

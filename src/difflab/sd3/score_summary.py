"""Flat metrics of the table of scores: means over trainings with their intervals, and what the logit means differ by."""

import itertools
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from difflab.metrics.uncertainty.intervals import difference, equivalence, pooled_spread, with_intervals
from difflab.sd3.artifacts.cells import CAPTIONS, FINE_TUNED, PRETRAINED
from difflab.sd3.scoring.neighbours import MEASURES

DISTANCES = ("fid", "kid", "fid_infinity")


def summarise(table: pd.DataFrame) -> dict[str, float]:
    """Metrics of the long table: `<adapter>_<captions>_<measure>` with `_low` and `_high`, see
    `metrics.uncertainty.intervals`.

    The spread of the fine-tuned cells is that between trainings, pooled over all of them; it contains generation. The
    base is given: its spread is that of generation alone, between the noises of the trainings, pooled over its own two
    cells, and stands under `pretrained_<measure>_spread` and `pretrained_<measure>_freedom`. The real images' own row
    gives `floor_<distance>` and `real_<measure>`.
    """
    metrics: dict[str, float] = {}
    measures = measured(table)
    table = table.astype(dict.fromkeys(measures, float))
    for measure in measures:
        base = with_intervals(values_of(table, measure, [PRETRAINED]), measure)
        metrics |= {k if k.startswith(PRETRAINED) else f"{PRETRAINED}_{k}": value for k, value in base.items()}
    for measure in measures:
        metrics |= with_intervals(values_of(table, measure, FINE_TUNED), measure)
    real = table[table.adapter == "real"].iloc[0]
    return metrics | {f"{'floor' if name in DISTANCES else 'real'}_{name}": float(real[name]) for name in measures}


def measured(table: pd.DataFrame) -> list[str]:
    """The columns of the table that are measures and known."""
    names = [name for name in table if name in {*DISTANCES, *MEASURES} or str(name).endswith("_accuracy")]
    return [str(name) for name in names if table[name].notna().all()]


def kinds_of(table: pd.DataFrame) -> list[str]:
    """The kinds of captions in the table, in the order of the study."""
    return [kind for kind in CAPTIONS if (table["captions"] == kind).any()]


def values_of(table: pd.DataFrame, measure: str, adapters: Sequence[str]) -> dict[str, list[float]]:
    """The values of each cell's trainings, by `<adapter>_<captions>`; a training's value is the mean over its draws."""
    cells = {}
    for adapter, captions in itertools.product(adapters, kinds_of(table)):
        rows = table[(table.adapter == adapter) & (table.captions == captions)]
        cells[f"{adapter}_{captions}"] = rows.groupby("training")[measure].mean().tolist()
    return cells


def compared(table: pd.DataFrame, margin: float) -> dict[str, Any]:
    """Each pair of logit means by FID: `<captions>_<a>_<b>_fid_difference` (a - b), its interval and `..._verdict`.

    Args:
        margin: the share of b's FID below which a difference does not matter, see
            `metrics.uncertainty.intervals.equivalence`.

    Returns:
        With one training of each cell, the differences alone.
    """
    cells = values_of(table, "fid", FINE_TUNED)
    spread, count = pooled_spread(cells, "relative"), len(next(iter(cells.values())))
    metrics: dict[str, Any] = {}
    for captions, (a, b) in itertools.product(kinds_of(table), itertools.combinations(FINE_TUNED, 2)):
        first, second = (fmean(cells[f"{adapter}_{captions}"]) for adapter in (a, b))
        name = f"{captions}_{a}_{b}_fid"
        metrics[f"{name}_difference"] = first - second
        if spread.freedom:
            _, low, high = difference(first, second, count, spread)
            verdict = equivalence(first, second, count, spread, margin, lower_is_better=True)
            metrics |= {f"{name}_difference_low": low, f"{name}_difference_high": high, f"{name}_verdict": verdict}
    return metrics

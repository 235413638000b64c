"""The plot of the answer: each measure of captions against the share of synthetic data."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from difflab.captioning.answer import BASELINE, DATA, MEASURE_NAMES
from difflab.report.style import Theme, figure


def by_share(theme: Theme, found: Mapping[str, float], runs: pd.DataFrame) -> Figure:
    """Each measure against the share of synthetic data: seeds, means, and the interval of the difference.

    Args:
        found: the metrics of `caption_score`.
        runs: one row per run: `data`, `share` and the measures.
    """
    measures = [m for m in MEASURE_NAMES if f"{DATA[1]}_{m}_difference" in found]
    rows = -(-len(measures) // 4)
    result, axes = figure(columns=min(4, len(measures)), rows=rows, height=0.4 + 2.0 * rows, sharex=True)
    trained = runs[runs["data"].isin(DATA)]
    for axis, measure in zip(axes, measures, strict=False):
        base = found[f"{BASELINE}_{measure}"]
        axis.axhline(base, color=theme.text, linewidth=1, linestyle=(0, (2, 2)))
        axis.scatter(
            trained["share"] + 0.06, trained[measure], s=7, color=theme.muted, alpha=0.7, linewidths=0
        )
        for data in DATA:
            key = f"{data}_{measure}"
            bar = {"yerr": _half_width(found, key), "capsize": 3} if data != BASELINE else {}
            axis.errorbar(
                found[f"{data}_share"], found[key], color=theme.cells["minus"], marker="o", ms=4.5, **bar
            )
        axis.set_title(MEASURE_NAMES[measure].replace(" (", "\n("))
        axis.set_xticks([0, 0.5, 1], ["0", "½", "1"])
        axis.margins(x=0.15, y=0.12)
    for axis in axes[len(measures) :]:
        axis.set_visible(False)
    result.supxlabel("share of synthetic data in the training set", size=8.5, color=theme.text)
    return result


def _half_width(found: Mapping[str, float], key: str) -> float:
    return (found[f"{key}_difference_high"] - found[f"{key}_difference_low"]) / 2

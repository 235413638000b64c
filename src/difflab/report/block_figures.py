"""The figures of "Which blocks matter", each from the tables of rank_blocks and tune_blocks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from difflab.report.tables import signed
from difflab.sd3.blocks.ways import WAY_NAMES, WAYS

COLOURS = {"best": "#0072b2", "random": "#8a93a3", "worst": "#d98200"}
MEASURES = {"loss": "held-out loss", "fid": "FID", "digit_accuracy": "digits correct, points"}
"""The rows of the chart of effects, where they are known; accuracies are shown in percentage points."""


def effects(found: pd.DataFrame, ranked: pd.DataFrame) -> Figure:
    """What changes without a block: a column for each way, a row for each measure, the loss with the block's rank.

    Args:
        found: plots/blocks/effects.csv.
        ranked: plots/blocks/ranks.csv.
    """
    rows = {m: name for m, name in MEASURES.items() if m in set(found["measure"])}
    figure, axes = _panels(len(rows), len(WAYS), 0.7 + 1.5 * len(rows), sharex=True)
    for (row, (measure, label)), (column, way) in _grid(rows):
        axis, scale = axes[row][column], 100 if measure.endswith("accuracy") else 1
        own = found[(found["way"] == way) & (found["measure"] == measure)].sort_values("block")
        effect, low, high = (scale * own[name].to_numpy() for name in ("effect", "low", "high"))
        axis.bar(own["block"], effect, color=COLOURS["best"], width=0.66, alpha=0.85)
        axis.errorbar(own["block"], effect, yerr=[effect - low, high - effect], fmt="none", ecolor="#1c2230", capsize=2)
        axis.axhline(0, color="#667085", linewidth=0.8)
        axis.grid(axis="x", visible=False)
        axis.locator_params(axis="x", integer=True)
        axis.margins(y=0.18)
        if row == 0:
            axis.set_title(WAY_NAMES[way])
        if column == 0:
            axis.set_ylabel(f"change of\n{label}")
        if measure == "loss":
            _say_ranks(axis, ranked[ranked["way"] == way].sort_values("block"), high)
    figure.supxlabel("block that is taken away", size=8.5)
    return figure


def _grid(rows: Mapping[str, str]):
    for row, item in enumerate(rows.items()):
        for column, way in enumerate(WAYS):
            yield (row, item), (column, way)


def _say_ranks(axis: Any, ranked: pd.DataFrame, tops: np.ndarray) -> None:
    """The rank of each block above its bar, with its interval where that holds more than one."""
    for row, top in zip(ranked.to_dict("records"), tops, strict=True):
        low, high = row["rank_low"], row["rank_high"]
        ends, where = f" ({low}–{high})" if low < high else "", (row["block"], max(top, 0))
        axis.annotate(f"{row['rank']}{ends}", where, (0, 3), textcoords="offset points", ha="center", size=7)


def by_sigma(found: pd.DataFrame) -> Figure:
    """How much the held-out loss rises without each block, by the share of noise: a panel for each way."""
    figure, axes = _panels(1, len(WAYS), 2.3)
    own = found[found["measure"].str.startswith("loss_sigma_")]
    own = own.assign(sigma=own["measure"].str.removeprefix("loss_sigma_").astype(float))
    blocks = sorted(own["block"].unique())
    colours = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(blocks)))
    for axis, way in zip(axes[0], WAYS, strict=True):
        for block, colour in zip(blocks, colours, strict=True):
            rows = own[(own["way"] == way) & (own["block"] == block)].sort_values("sigma")
            axis.plot(rows["sigma"], rows["effect"], color=colour, marker="o", ms=3, label=f"block {block}")
            axis.fill_between(rows["sigma"], rows["low"], rows["high"], color=colour, alpha=0.15, linewidth=0)
        axis.axhline(0, color="#667085", linewidth=0.8)
        axis.set_title(WAY_NAMES[way])
    axes[0][0].set_ylabel("change of held-out loss")
    axes[0][-1].legend(fontsize=6.5, ncols=1 + len(blocks) // 8)
    figure.supxlabel("σ   (0 image, 1 noise)", size=8.5)
    return figure


def agreement(pairs: pd.DataFrame) -> Figure:
    """Kendall's tau between the rankings of each two ways, with its interval.

    Args:
        pairs: plots/blocks/agreement.csv.
    """
    figure, axes = plt.subplots(figsize=(4.4, 3.4), layout="constrained")
    names, values = [WAY_NAMES[way] for way in WAYS], np.eye(len(WAYS))
    for pair in pairs.to_dict("records"):
        a, b = WAYS.index(pair["first"]), WAYS.index(pair["second"])
        values[a, b] = values[b, a] = pair["tau"]
        text = f"{pair['tau']:+.2f}\n{pair['low']:+.2f}\nto {pair['high']:+.2f}"
        for x, y in ((a, b), (b, a)):
            shade = "white" if abs(pair["tau"]) > 0.6 else "black"
            axes.text(x, y, signed(text), ha="center", va="center", size=6.5, color=shade)
    image = axes.imshow(values, cmap="RdBu", vmin=-1, vmax=1)
    axes.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names])
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False)
    figure.colorbar(image, label="Kendall's τ   (−1 reversed, 1 same order)")
    return figure


def tuning(table: pd.DataFrame, found: Mapping[str, Any]) -> Figure:
    """What tuning brings for the best blocks by each ranking, random ones and the worst: means, and a dot for each seed.

    Args:
        table: plots/blocks/tuning.csv.
        found: the numbers of tune_blocks.
    """
    figure, (axes,) = _panels(1, len(WAYS), 2.7, sharey=True)
    for axis, way in zip(axes, WAYS, strict=True):
        labels = []
        for x, (role, own) in enumerate(by_role(table, way).items()):
            seeds = own.groupby("seed")["gain"].mean()
            axis.bar(x, seeds.mean(), color=COLOURS[role], width=0.66, alpha=0.85)
            axis.scatter(np.full(len(seeds), x), seeds, s=8, color="#1c2230", zorder=3, linewidths=0)
            labels.append(f"{role}\n{'' if role == 'random' else _short(own['blocks'].iloc[0])}")
        axis.set_xticks(range(len(labels)), labels, size=7)
        axis.set_title(f"{WAY_NAMES[way]}:\n{found.get(f'{way}_verdict', '')}")
        axis.grid(axis="x", visible=False)
    axes[0].set_ylabel("gain: fall of held-out loss")
    return figure


def by_role(table: pd.DataFrame, way: str) -> dict[str, pd.DataFrame]:
    """The trainings of the best blocks by a way's ranking, of random ones, and of the worst."""
    roles = {"best": f"top_{way}", "random": "random", "worst": f"bottom_{way}"}
    return {name: table[[role in have.split() for have in table["roles"]]] for name, role in roles.items()}


def _short(blocks: str) -> str:
    return blocks if len(blocks) < 10 else f"{blocks[:8]}…"


def _panels(rows: int, columns: int, height: float, **options: Any) -> tuple[Figure, Any]:
    return plt.subplots(rows, columns, figsize=(7.2, height), squeeze=False, layout="constrained", **options)

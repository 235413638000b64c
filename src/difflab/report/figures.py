"""The figures of the report. Each takes tidy numbers and a theme, and returns a matplotlib figure."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from difflab.report.style import LINE_STYLES, Theme, figure
from difflab.report.tables import number
from difflab.sd3.cells import ADAPTERS, CAPTION_NAMES, CAPTIONS, FINE_TUNED, adapter_name

Curves = Mapping[tuple[str, str], pd.DataFrame]  # (captions, adapter) -> rows by step


def fid_by_cell(theme: Theme, summary: Mapping[str, float], logit_means: dict[str, float]) -> Figure:
    """Bars of FID with the spread over generation seeds, and the floor as a line."""
    result, axes = figure(columns=2, height=2.7, sharey=True)
    for axis, captions in zip(axes, CAPTIONS, strict=True):
        for x, adapter in enumerate(ADAPTERS):
            value = summary.get(f"{adapter}_{captions}_fid")
            if value is None:
                continue
            spread = summary.get(f"{adapter}_{captions}_fid_std")
            bar = {"yerr": spread, "capsize": 3, "ecolor": theme.text} if spread is not None else {}
            axis.bar(x, value, width=0.66, color=theme.cells[adapter], **bar)
            text = number(value)
            axis.annotate(
                text, (x, value + (spread or 0)), (0, 3), textcoords="offset points", ha="center", size=8
            )
        if "floor_fid" in summary:
            axis.axhline(summary["floor_fid"], color=theme.text, linewidth=1, linestyle=(0, (2, 2)))
        axis.set_xticks(range(len(ADAPTERS)), [adapter_name(a, logit_means) for a in ADAPTERS])
        axis.set_title(CAPTION_NAMES[captions])
        axis.grid(axis="x", visible=False)
        axis.margins(y=0.12)
    axes[0].set_ylabel("FID (lower is better)")
    return result


def loss_curves(theme: Theme, curves: Curves, logit_means: dict[str, float]) -> Figure:
    """Training loss (thin) and held-out loss (thick) by step, one panel for each kind of caption."""
    result, axes = figure(columns=2, height=2.7, sharey=True)
    for axis, captions in zip(axes, CAPTIONS, strict=True):
        for adapter in FINE_TUNED:
            rows = curves.get((captions, adapter))
            if rows is None:
                continue
            colour = theme.cells[adapter]
            axis.plot(rows.step, _smooth(rows.train_loss), color=colour, linewidth=0.9, alpha=0.55)
            if "val_loss" in rows:
                held_out = rows.dropna(subset=["val_loss"])
                axis.plot(
                    held_out.step, held_out.val_loss, color=colour, label=adapter_name(adapter, logit_means)
                )
        axis.set_title(CAPTION_NAMES[captions])
        axis.set_xlabel("training step")
        _legend(axis)
    axes[0].set_ylabel("loss: held-out thick, training thin")
    return result


def loss_by_sigma(theme: Theme, curves: Curves, logit_means: dict[str, float]) -> Figure:
    """Held-out loss at each fixed sigma, one panel for each; solid lines BLIP-2, dashed lines Llama 3."""
    columns = sigma_columns(curves)
    result, axes = figure(columns=max(1, len(columns)), height=2.5)
    for axis, (column, sigma) in zip(axes, columns, strict=False):
        for (captions, adapter), rows in curves.items():
            held_out = rows.dropna(subset=[column]) if column in rows else rows.iloc[:0]
            label = adapter_name(adapter, logit_means) if captions == CAPTIONS[0] else None
            style = {"color": theme.cells[adapter], "linestyle": LINE_STYLES[captions], "linewidth": 1.3}
            axis.plot(held_out.step, held_out.get(column, []), label=label, **style)
        axis.set_title(f"\N{GREEK SMALL LETTER SIGMA} = {sigma:g}")
        axis.tick_params(labelsize=7)
        axis.locator_params(nbins=4)
    axes[0].set_ylabel("held-out loss")
    result.supxlabel("training step", size=8.5, color=theme.text)
    _legend(axes[-1], handlelength=1.2, fontsize=7)
    return result


def sigma_columns(curves: Curves) -> list[tuple[str, float]]:
    """The columns `val_loss_sigma_0.1`, ... of the curves, with their sigma, ascending."""
    names = {c for rows in curves.values() for c in rows.columns if c.startswith("val_loss_sigma_")}
    return sorted(((c, float(c.removeprefix("val_loss_sigma_"))) for c in names), key=lambda item: item[1])


def logit_normal_density(sigma: np.ndarray, mean: float, std: float, shift: float) -> np.ndarray:
    """Density of sigma in (0, 1) where logit(sigma) ~ N(ln(shift) + mean, std^2); `mean` is that on sigma."""
    z = (np.log(sigma / (1 - sigma)) - np.log(shift) - mean) / std
    return np.exp(-(z**2) / 2) / (std * np.sqrt(2 * np.pi) * sigma * (1 - sigma))


def sigma_densities(
    theme: Theme, logit_means: dict[str, float], std: float, shift: float, used: str
) -> Figure:
    """What the three means train, read in both sign conventions; the panel of the convention in use is
    marked."""
    sigma = np.linspace(0.002, 0.998, 500)
    result, axes = figure(columns=2, height=2.7, sharey=True)
    for axis, convention in zip(axes, ("sigma", "diffusers"), strict=True):
        sign = 1 if convention == "sigma" else -1
        for adapter, mean in logit_means.items():
            density = logit_normal_density(sigma, sign * mean, std, shift)
            axis.plot(sigma, density, color=theme.cells[adapter], label=adapter_name(adapter, logit_means))
        axis.set_title(f"convention: {convention}" + (" (this run)" if convention == used else ""))
        axis.set_xlabel("\N{GREEK SMALL LETTER SIGMA}   (0 image, 1 noise)")
        _legend(axis)
    axes[0].set_ylabel("training density")
    return result


def curve_beside_published(
    theme: Theme, rows: pd.DataFrame, known: Sequence[Mapping[str, float]], x: str, label: str
) -> Figure:
    """FID by `x` of this run on the left, the published curve on the right; never on one axis."""
    result, axes = figure(columns=2, height=2.5)
    seeds = rows.groupby(x).fid
    mean, spread = seeds.mean(), seeds.std(ddof=1)
    bars = spread.to_numpy() if spread.notna().all() else None
    axes[0].errorbar(
        mean.index, mean.to_numpy(), yerr=bars, color=theme.cells["minus"], marker="o", ms=3.5, capsize=2
    )
    axes[0].set_title("this run")
    other = pd.DataFrame(list(known))
    axes[1].plot(other[x], other.fid, color=theme.cells["pretrained"], marker="o", ms=3.5)
    axes[1].set_title("published, on its own scale")
    for axis in axes:
        axis.set_xlabel(label)
        axis.margins(y=0.15)
        axis.set_ylim(bottom=0)
    axes[0].set_ylabel("FID")
    return result


def _smooth(values: pd.Series) -> pd.Series:
    """A running mean over a twentieth of the curve: single batches say little."""
    return values.rolling(max(1, len(values) // 20), min_periods=1).mean()


def _legend(axis, **options) -> None:
    if axis.get_legend_handles_labels()[1]:
        axis.legend(**options)

"""The figures of the report, each from tidy numbers; one whose inputs do not exist is not drawn."""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from difflab.captioning.answer import BASELINE, DATA, MAIN, MEASURE_NAMES
from difflab.captioning.by_originals import MIXED, sizes_of
from difflab.core.base.errors import reading
from difflab.core.base.files import png_bytes, read_csv, write_bytes
from difflab.core.base.store.decoder import decode_image
from difflab.images.generated.writer import tiles
from difflab.images.sheet import rows_sheet
from difflab.metrics.uncertainty.intervals import with_intervals
from difflab.report import attention, block_figures, findings
from difflab.report.line_styles import DRAWN, STYLES
from difflab.report.study_tables import DATA_NAMES, published
from difflab.report.summary import kinds_of, part
from difflab.report.tables import interval, number
from difflab.sd3.artifacts.cells import (
    ADAPTERS,
    CAPTION_NAMES,
    FINE_TUNED,
    MINUS,
    PUBLISHED,
    adapter_name,
    mean_on_sigma,
)

TEXT, MUTED = "#1c2230", "#667085"
COLOURS = {"pretrained": "#8a93a3", "minus": "#0072b2", "zero": "#d98200", "plus": "#009e73"}
"""Of the columns of the SD3 study; the colour-blind can tell them apart too (Okabe and Ito)."""
LEVEL = {"color": TEXT, "linewidth": 1, "linestyle": (0, (2, 2))}  # of a horizontal line to compare with

COMPARED = 6  # samples of the before and after
Curves = Mapping[tuple[str, str], pd.DataFrame]  # (captions, adapter) -> rows by step


def draw(
    summary: Mapping[str, float],
    folder: Path,
    logit_std: float,
    convention: str,
    root: Path,
    trained_on: Iterable[str] = PUBLISHED,
) -> list[str]:
    """Draw every figure whose inputs exist below `root` into `folder`; return the inputs that do not exist."""
    missing: list[str] = []

    def read(path: str, **options: Any) -> pd.DataFrame | None:
        if (root / path).is_file():
            return read_csv(root / path, **options)
        missing.append(path)
        return None

    sd3, captioning = part(summary, "sd3"), part(summary, "captioning")
    means = findings.logit_means(sd3)
    drawn = {"sigma_densities": lambda: sigma_densities(means, logit_std, sd3["shift"], convention)}
    if "best_fid" in sd3:
        drawn["fid_by_cell"] = lambda: fid_by_cell(sd3, means)
    cells = [(captions, adapter) for captions in dict.fromkeys(trained_on) for adapter in FINE_TUNED]
    curves = {cell: rows for cell in cells if (rows := read(f"plots/finetune/{'-'.join(cell)}.csv")) is not None}
    curves = {
        c: rows.groupby("step", as_index=False).mean() for c, rows in curves.items() if len(rows)
    }  # over trainings
    if curves:
        drawn["loss"] = lambda: loss_curves(curves, means)
    if sigma_columns(curves):
        drawn["loss_by_sigma"] = lambda: loss_by_sigma(curves, means)
    for stage, x, label, known in (
        ("guidance_curve", "guidance_scale", "guidance scale", "fid_by_guidance"),
        ("step_curve", "step", "training step", "fid_by_step"),
    ):
        if (rows := read(f"plots/{stage}.csv")) is not None:
            args = rows, published()[known], x, label
            drawn[stage] = lambda args=args: curve_beside_published(*args)
    inside = part(summary, "attention")
    if (rows := read("plots/attention_maps.csv")) is not None and attention.parts(inside):
        drawn["attention"] = lambda rows=rows: attention.figure(inside, rows, COLOURS)
    runs = read("plots/captioner/scores.csv")
    if runs is not None and "original_share" in captioning:
        drawn["captions_by_share"] = lambda: captions_by_share(captioning, runs)
    personal, few = part(summary, "personal"), read("plots/personal.csv")
    if few is not None and findings.points_of(personal, "pictures"):
        drawn["few_images"] = lambda: few_images(personal, few)
    trained = read("plots/captioner/originals.csv")
    if trained is not None and "originals" in captioning:
        drawn["captions_by_originals"] = lambda: captions_by_originals(captioning, trained)
    for name, function in {**drawn, **block_charts(read, part(summary, "blocks_tuned"))}.items():
        with reading(f"the tables behind {name}.png", "`dvc status` names the stage that makes them again"):
            render(function, folder / f"{name}.png")
    # as texts: a caption may be empty, "nan" or a number
    if (prompts := read("data/scores/prompts.csv", dtype=str, keep_default_na=False)) is not None:
        for captions in kinds_of(sd3):
            if sheet := before_after(root / "plots/grids", captions, prompts, means):
                write_bytes(folder / f"before_after_{captions}.png", png_bytes(sheet))
    return missing


def block_charts(
    read: Callable[[str], pd.DataFrame | None], tuned: Mapping[str, float]
) -> dict[str, Callable[[], Figure]]:
    """The charts of the blocks of the base that have their tables."""
    found, ranked, pairs, table = (read(f"plots/blocks/{n}.csv") for n in ("effects", "ranks", "agreement", "tuning"))
    charts: dict[str, Callable[[], Figure]] = {}
    if found is not None and ranked is not None:
        charts |= {"block_effects": lambda: block_figures.effects(found, ranked)}
        charts |= {"block_effects_by_sigma": lambda: block_figures.by_sigma(found)}
    if pairs is not None:
        charts |= {"block_agreement": lambda: block_figures.agreement(pairs)}
    if table is not None and tuned:
        charts |= {"block_tuning": lambda: block_figures.tuning(table.astype({"blocks": str}), tuned)}
    return charts


def before_after(grids: Path, captions: str, prompts: pd.DataFrame, means: dict[str, float]) -> Image.Image | None:
    """The first samples of every adapter side by side, each row with its prompt; None where a grid does not exist.

    Args:
        grids: folder of the pictures `real.png` and `<adapter>/<captions>.png`, tiled in the order of `prompts`.
        prompts: columns `id` and one for each kind of captions.
    """
    columns = {"real": "real"} | {f"{a}/{captions}": adapter_name(a, means).replace(MINUS, "-") for a in ADAPTERS}
    paths = [grids / f"{name}.png" for name in columns]
    if not all(path.is_file() for path in paths):
        return None
    count = min(COMPARED, len(prompts))
    pictures = [tiles(np.asarray(decode_image(path.read_bytes(), str(path))), ncols=8, count=count) for path in paths]
    rows = list(zip(prompts[captions][:count], zip(*pictures, strict=True), strict=True))
    return rows_sheet(rows, side=88, titles=list(columns.values()))


def render(draw: Callable[[], Figure], path: Path) -> None:
    """Draw and write a PNG, see `rendered`."""
    write_bytes(path, rendered(draw))


def rendered(draw: Callable[[], Figure]) -> bytes:
    """A figure in the report's style as a PNG of 256 colours, without dates or version strings."""
    buffer = io.BytesIO()
    with plt.rc_context(fname=Path(__file__).with_name("report.mplstyle")):
        result = draw()
        result.savefig(buffer, dpi=160, format="png")
        plt.close(result)
    with Image.open(buffer) as image:
        return png_bytes(image.convert("RGB").quantize(256, dither=Image.Dither.NONE))


def panels(columns: int = 2, rows: int = 1, height: float = 2.7, **options) -> tuple[Figure, list]:
    """A figure as wide as the report's page and its axes as a flat list."""
    result, axes = plt.subplots(rows, columns, figsize=(7.2, height), squeeze=False, layout="constrained", **options)
    return result, list(axes.flat)


def fid_by_cell(found: Mapping[str, float], logit_means: dict[str, float]) -> Figure:
    """Bars of FID with 95 % intervals, and the floor as a line."""
    kinds = kinds_of(found)
    result, axes = panels(len(kinds), sharey=True)
    for axis, captions in zip(axes, kinds, strict=True):
        for x, adapter in enumerate(ADAPTERS):
            value = found.get(f"{adapter}_{captions}_fid")
            if value is None:
                continue
            low, high = interval(found, f"{adapter}_{captions}_fid") or (value, value)
            bar = {"yerr": [[value - low], [high - value]], "capsize": 3, "ecolor": TEXT} if high > low else {}
            axis.bar(x, value, width=0.66, color=COLOURS[adapter], **bar)
            top = x, high
            axis.annotate(number(value), top, (0, 3), textcoords="offset points", ha="center", size=8)
        if "floor_fid" in found:
            axis.axhline(found["floor_fid"], **LEVEL)
        axis.set_xticks(range(len(ADAPTERS)), [adapter_name(a, logit_means) for a in ADAPTERS])
        axis.set_title(CAPTION_NAMES[captions])
        axis.grid(axis="x", visible=False)
        axis.margins(y=0.12)
    axes[0].set_ylabel("FID (lower is better)")
    return result


def loss_curves(curves: Curves, logit_means: dict[str, float]) -> Figure:
    """Training loss (thin) and held-out loss (thick) by step, one panel for each kind of caption."""
    kinds = dict.fromkeys(captions for captions, _ in curves)
    result, axes = panels(len(kinds), sharey=True)
    for axis, captions in zip(axes, kinds, strict=True):
        for adapter in (a for a in FINE_TUNED if (captions, a) in curves):
            rows, colour = curves[captions, adapter], COLOURS[adapter]
            # a running mean over a twentieth of the curve: single batches say little
            smooth = rows.train_loss.rolling(max(1, len(rows) // 20), min_periods=1).mean()
            axis.plot(rows.step, smooth, color=colour, linewidth=0.9, alpha=0.55)
            if "val_loss" in rows:
                held_out = rows.dropna(subset=["val_loss"])
                axis.plot(held_out.step, held_out.val_loss, color=colour, label=adapter_name(adapter, logit_means))
        axis.set_title(CAPTION_NAMES.get(captions, "a caption of either kind"))
        axis.set_xlabel("training step")
        _legend(axis)
    axes[0].set_ylabel("loss: held-out thick, training thin")
    return result


def loss_by_sigma(curves: Curves, logit_means: dict[str, float]) -> Figure:
    """Held-out loss at each fixed sigma, one panel for each; a style of line for each kind of captions."""
    columns = sigma_columns(curves)
    result, axes = panels(len(columns), height=2.5)
    for axis, (column, sigma) in zip(axes, columns, strict=True):
        for (captions, adapter), rows in curves.items():
            held_out = rows.dropna(subset=[column]) if column in rows else rows.iloc[:0]
            label = adapter_name(adapter, logit_means) if captions == next(iter(curves))[0] else None
            style = {"color": COLOURS[adapter], "linestyle": STYLES[DRAWN[captions]], "linewidth": 1.3}
            axis.plot(held_out.step, held_out.get(column, []), label=label, **style)
        axis.set_title(f"σ = {sigma:g}")
        axis.tick_params(labelsize=7)
        axis.locator_params(nbins=4)
    axes[0].set_ylabel("held-out loss")
    result.supxlabel("training step", size=8.5, color=TEXT)
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


def sigma_densities(logit_means: dict[str, float], std: float, shift: float, used: str) -> Figure:
    """What the three means train, read in both sign conventions; the panel of the one in use is marked."""
    sigma = np.linspace(0.002, 0.998, 500)
    result, axes = panels(sharey=True)
    for axis, convention in zip(axes, ("sigma", "diffusers"), strict=True):
        for adapter, mean in logit_means.items():
            density = logit_normal_density(sigma, mean_on_sigma(mean, convention), std, shift)
            axis.plot(sigma, density, color=COLOURS[adapter], label=adapter_name(adapter, logit_means))
        axis.set_title(f"convention: {convention}" + (" (this run)" if convention == used else ""))
        axis.set_xlabel("σ   (0 image, 1 noise)")
        _legend(axis)
    axes[0].set_ylabel("training density")
    return result


def curve_beside_published(rows: pd.DataFrame, known: Sequence[Mapping[str, float]], x: str, label: str) -> Figure:
    """FID by `x` of this run on the left, with 95 % intervals over trainings; the published curve on the right.

    Never on one axis.
    """
    result, axes = panels(height=2.5)
    seeds = {point: own.fid.tolist() for point, own in rows.groupby(x)}
    found = with_intervals({str(point): values for point, values in seeds.items()}, "fid")
    ends = [interval(found, f"{point}_fid") for point in seeds]
    bars = None if None in ends else [(high - low) / 2 for low, high in filter(None, ends)]
    axes[0].errorbar(
        list(seeds),
        [found[f"{point}_fid"] for point in seeds],
        yerr=bars,
        color=COLOURS["minus"],
        marker="o",
        ms=3.5,
        capsize=2,
    )
    axes[0].set_title("this run")
    other = pd.DataFrame(list(known))
    axes[1].plot(other[x], other.fid, color=COLOURS["pretrained"], marker="o", ms=3.5)
    axes[1].set_title("published, on its own scale")
    for axis in axes:
        axis.set_xlabel(label)
        axis.margins(y=0.15)
        axis.set_ylim(bottom=0)
    axes[0].set_ylabel("FID")
    return result


def captions_by_share(found: Mapping[str, float], runs: pd.DataFrame) -> Figure:
    """Each measure against the share of synthetic data: seeds, means, and the interval of the difference.

    Args:
        found: the metrics of `caption_score`.
        runs: one row per run: `data`, `share` and the measures.
    """
    measures = [m for m in MEASURE_NAMES if f"{DATA[1]}_{m}_difference" in found]
    rows = -(-len(measures) // 4)
    result, axes = panels(min(4, len(measures)), rows, height=0.4 + 2.0 * rows, sharex=True)
    trained = runs[runs["data"].isin(DATA)]
    for axis, measure in zip(axes, measures, strict=False):
        axis.axhline(found[f"{BASELINE}_{measure}"], **LEVEL)
        axis.scatter(trained["share"] + 0.06, trained[measure], s=7, color=MUTED, alpha=0.7, linewidths=0)
        for data in DATA:
            key, bar = f"{data}_{measure}", {}
            if data != BASELINE:
                low, high = (found[f"{key}_difference_{end}"] for end in ("low", "high"))
                bar = {"yerr": (high - low) / 2, "capsize": 3}
            axis.errorbar(found[f"{data}_share"], found[key], color=COLOURS["minus"], marker="o", ms=4.5, **bar)
        axis.set_title(MEASURE_NAMES[measure].replace(" (", "\n("))
        axis.set_xticks([0, 0.5, 1], ["0", "½", "1"])
        axis.margins(x=0.15, y=0.12)
    for axis in axes[len(measures) :]:
        axis.set_visible(False)
    result.supxlabel("share of synthetic data in the training set", size=8.5, color=TEXT)
    return result


def captions_by_originals(found: Mapping[str, float], runs: pd.DataFrame) -> Figure:
    """CIDEr-D against the number of originals, without and with their synthetic pictures: seeds and means.

    The bars are the interval of the difference to the same originals alone.

    Args:
        found: the metrics of `caption_score`.
        runs: one row per run: `data`, `originals` and `cider_d`.
    """
    sizes = sizes_of(found)
    result, (axis,) = panels(1, height=2.8)
    for data, colour in zip((BASELINE, MIXED), ("pretrained", "minus"), strict=True):
        own, bars = runs[runs["data"] == data], {}
        if data == MIXED:
            ends = [[found[f"originals_{n}_{data}_{MAIN}_difference_{end}"] for n in sizes] for end in ("low", "high")]
            bars = {"yerr": (np.array(ends[1]) - ends[0]) / 2, "capsize": 3}
        axis.scatter(own["originals"], own[MAIN], s=7, color=COLOURS[colour], alpha=0.5, linewidths=0)
        means = [found[f"originals_{n}_{data}_{MAIN}"] for n in sizes]
        axis.errorbar(sizes, means, color=COLOURS[colour], marker="o", ms=4.5, label=DATA_NAMES[data], **bars)
    axis.set_xscale("log")
    axis.set_xticks(sizes, [str(n) for n in sizes])
    axis.minorticks_off()
    axis.set_xlabel("originals")
    axis.set_ylabel(MEASURE_NAMES[MAIN])
    axis.legend()
    return result


def few_images(found: Mapping[str, float], runs: pd.DataFrame) -> Figure:
    """How often the subject shows and how often the class word is kept, by pictures and by steps: trainings and means.

    Args:
        found: the metrics of `personal`.
        runs: one row per training and point: `axis`, `value` and the measures.
    """
    result, axes = panels(2, height=2.6, sharey=True)
    for axis, of in zip(axes, ("pictures", "steps"), strict=True):
        points, own = findings.points_of(found, of), runs[runs["axis"] == of]
        for measure, label, colour in (
            ("subject_accuracy", "subject shown", "minus"),
            ("class_correct", "class kept", "zero"),
        ):
            axis.scatter(own["value"], own[measure], s=7, color=COLOURS[colour], alpha=0.5, linewidths=0)
            means = [found[f"{of}_{n}_{measure}"] for n in points]
            axis.plot(points, means, color=COLOURS[colour], marker="o", ms=4.5, label=label)
        axis.set_xticks(points)
        axis.set_xlabel(of)
        axis.set_ylim(-0.03, 1.03)
    axes[0].set_ylabel("share of pictures")
    axes[0].legend()
    return result


def _legend(axis, **options) -> None:
    if axis.get_legend_handles_labels()[1]:
        axis.legend(**options)

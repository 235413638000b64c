"""The tables of the report, from metrics/summary.json and the tables of the stages."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from difflab.report.document import Table, markdown_table
from difflab.report.published import published_fid
from difflab.sd3.cells import (
    ADAPTERS,
    CAPTION_NAMES,
    CAPTIONS,
    FINE_TUNED,
    MINUS,
    adapter_name,
    median_sigma,
    signed,
)

Summary = Mapping[str, float]
ABSENT = "–"


def results_table(summary: Mapping[str, float]) -> str:
    """The main table as Markdown, with one line under it that says what it is: for the README and the
    report."""
    return f"{markdown_table(fid_table(summary))}\n\n{table_note(summary)}"


def table_note(summary: Mapping[str, float]) -> str:
    """n, seeds, feature dimension, and whether the values may be compared with the published ones."""
    n, seeds = summary.get("n"), summary.get("seeds")
    made = f"FID of {n:g} generated images for each cell and seed" if n else "FID"
    if seeds:
        made += (
            f", {seeds:g} generation seeds (mean ± standard deviation)"
            if seeds > 1
            else ", one generation seed"
        )
    if "dim" in summary:
        made += f", {summary['dim']:g}-dimensional features"
    if summary.get("comparable_with_published"):
        return f"{made}. The settings are the published ones."
    return f"{made}. A miniature on other images: its values do **not** compare with the published ones."


def fid_table(summary: Summary) -> Table:
    """FID of every cell of this run, with the published cell of the same density beside."""
    means = logit_means(summary)
    header = ["model", *CAPTION_NAMES.values(), *(f"published, {n}" for n in CAPTION_NAMES.values())]
    rows = []
    for adapter in ADAPTERS:
        known = [published_fid(c, summary.get(f"{adapter}_logit_mean_on_sigma")) for c in CAPTIONS]
        ours = [with_spread(summary, f"{adapter}_{c}_fid") for c in CAPTIONS]
        rows.append(
            [adapter_name(adapter, means), *ours, *(ABSENT if v is None else f"{v:.1f}" for v in known)]
        )
    floor = number(summary.get("floor_fid"))
    rows.append(["real images (floor)", floor, floor, ABSENT, ABSENT])
    return Table(header, rows)


def density_table(summary: Summary) -> Table:
    """How each column of the study reads: its mean, on sigma, its median sigma, and which way it leans."""
    means = logit_means(summary)
    rows = []
    for adapter in FINE_TUNED:
        on_sigma = summary[f"{adapter}_logit_mean_on_sigma"]
        lean = "more noise" if on_sigma > 0 else "less noise" if on_sigma < 0 else "in between"
        median = median_sigma(on_sigma, "sigma", summary["shift"])
        rows.append([adapter_name(adapter, means), signed(on_sigma), f"{median:.3f}", lean])
    return Table(["column", "mean of logit σ before the shift", "median σ", "trains on"], rows)


def accuracy_table(summary: Summary) -> Table | None:
    """Class accuracy of every cell and of real images; None where no classes were scored."""
    if not any(key.endswith("_digit_accuracy") for key in summary):
        return None
    means = logit_means(summary)
    names = [CAPTION_NAMES[c] for c in CAPTIONS]
    header = ["model", *(f"digit, {n}" for n in names), *(f"photograph, {n}" for n in names)]
    rows = []
    for adapter in ADAPTERS:
        cells = [
            percent(summary, f"{adapter}_{c}_{m}_accuracy") for m in ("digit", "photo") for c in CAPTIONS
        ]
        rows.append([adapter_name(adapter, means), *cells])
    digit, photo = percent(summary, "real_digit_accuracy"), percent(summary, "real_photo_accuracy")
    return Table(header, [*rows, ["real held-out images", digit, digit, photo, photo]])


def kid_table(summary: Summary) -> Table:
    """KID x 1000 of every cell; its expectation does not depend on n."""
    means = logit_means(summary)
    rows = [
        [adapter_name(a, means), *(with_spread(summary, f"{a}_{c}_kid", scale=1000) for c in CAPTIONS)]
        for a in ADAPTERS
    ]
    floor = number(summary["floor_kid"] * 1000) if "floor_kid" in summary else ABSENT
    return Table(["KID × 1000", *CAPTION_NAMES.values()], [*rows, ["real images (floor)", floor, floor]])


def made_by_table(scores: pd.DataFrame, columns: Sequence[str]) -> Table:
    """How the scores were made: each column of the long table that says so, with its distinct values."""
    rows = []
    for column in columns:
        if column in scores:
            values = scores[column].dropna().drop_duplicates()
            rows.append(
                [column.replace("_", " "), ", ".join(f"{v:g}" if _numeric(v) else str(v) for v in values)]
            )
    return Table(["setting", "value"], rows, numbers=False)


def measures_table(metrics: Mapping[str, Mapping[str, object]]) -> Table:
    """Stage, measure, value: the numbers of several stages as they stand in their metrics files."""
    rows = []
    for stage, values in metrics.items():
        for key, value in values.items():
            rows.append(
                [f"`{stage}`", key.replace("_", " "), f"{value:.4g}" if _numeric(value) else str(value)]
            )
    return Table(["stage", "measure", "value"], rows, numbers=False)


def logit_means(summary: Summary) -> dict[str, float]:
    return {a: summary[f"{a}_logit_mean"] for a in FINE_TUNED}


def with_spread(summary: Summary, key: str, scale: float = 1) -> str:
    """ "24.3 ± 0.4", or "24.3" for a single seed, or a dash."""
    if key not in summary:
        return ABSENT
    value, spread = summary[key] * scale, summary.get(f"{key}_std")
    return number(value) + ("" if spread is None else f" ± {spread * scale:.{decimals(value)}f}")


def percent(summary: Summary, key: str) -> str:
    if key not in summary:
        return ABSENT
    spread = summary.get(f"{key}_std")
    return f"{100 * summary[key]:.1f} %" + (f" ± {100 * spread:.1f}" if spread is not None else "")


def number(value: float | None) -> str:
    """Three significant digits without an exponent: 61.0, 8.90, 0.412."""
    return ABSENT if value is None else f"{value:.{decimals(value)}f}".replace("-", MINUS)


def decimals(value: float) -> int:
    """Decimals that show three significant digits, at most 4."""
    return 2 if value == 0 else min(4, max(0, 2 - math.floor(math.log10(abs(value)))))


def _numeric(value: object) -> bool:
    return isinstance(value, int | float)

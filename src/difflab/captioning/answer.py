"""Does synthetic data help captioning? Scores of every training set beside those of originals only.

Runs differ in their training set and their seed; all caption the same test images, which are originals. Captioners
that were trained on none of these sets have scores, but no difference.
"""

from collections.abc import Mapping

import pandas as pd

from difflab.metrics.uncertainty.intervals import with_intervals
from difflab.metrics.uncertainty.paired import difference

BASELINE = "original"
DATA = (BASELINE, "mixed", "synthetic")
UNTRAINED = ZERO_SHOT, INSTRUCT = "zero_shot", "instruct"
MAIN = "cider_d"
MEASURE_NAMES = {
    "bleu_1": "BLEU-1",
    "bleu_2": "BLEU-2",
    "rouge_l": "ROUGE-L",
    "meteor_exact_stem": "METEOR (exact, stem)",
    "cider_d": "CIDEr-D",
    "digit_correct": "digit correct",
    "photo_correct": "photograph correct",
    "both_correct": "both correct",
}
"""The measures of single images, by their column. Larger is better for all of them."""

_CHANGES = {"mixed": "Synthetic data beside the originals", "synthetic": "Synthetic data in place of the originals"}
Metrics = Mapping[str, float]


def shares(rows: pd.DataFrame) -> dict[str, float]:
    """The share of synthetic rows in each training set, in 0..1, from the rows of the mixed data set."""
    source = rows.loc[rows["split"] == "train", "source"]
    return {BASELINE: 0.0, "mixed": float((source == "synthetic").mean()), "synthetic": 1.0}


def summarise(images: pd.DataFrame, runs: pd.DataFrame, *, margin: float) -> dict[str, float]:
    """Flat metrics of all training sets, each of all originals.

    Args:
        images: a row per run and test image: `data`, `seed`, `id` and those of `MEASURE_NAMES` that are known.
        runs: a row per run: `data`, `share`, `seed` and each measure, of the run as a whole.

    Returns:
        `<data>_<measure>`: mean over trainings, with its interval over them on these test images
        (`metrics.uncertainty.intervals.with_intervals`). For the training sets with synthetic data
        `<data>_<measure>_difference` to originals only, paired by seed and image, with the ends `_low` and `_high`
        of its 95 % interval. `<data>_share` of synthetic data; `n` test images; `trainings` of each set; the `margin`
        of CIDEr-D.

    Raises:
        DifflabError: the runs differ in their seeds or images, or there are fewer than two seeds.
    """
    metrics: dict[str, float] = {"n": images["id"].nunique(), "trainings": int((runs["data"] == BASELINE).sum())}
    metrics["margin"] = margin
    by_data = dict(list(runs.groupby("data", sort=False)))
    metrics |= {f"{data}_share": float(by_data[data]["share"].iloc[0]) for data in DATA}
    for measure in runs.columns.drop(["data", "share", "seed"]):
        metrics |= with_intervals({data: by_data[data][measure].tolist() for data in DATA}, str(measure))
        metrics |= {f"{d}_{measure}": float(rows[measure].mean()) for d, rows in by_data.items() if d in UNTRAINED}
    for measure in (m for m in MEASURE_NAMES if m in images):
        values = images.pivot(index=["data", "seed"], columns="id", values=measure)
        for data in DATA[1:]:
            found = difference(values.loc[data], values.loc[BASELINE])
            key = f"{data}_{measure}_difference"
            metrics |= {key: found.mean, f"{key}_low": found.low, f"{key}_high": found.high}
    return metrics


def verdict(metrics: Metrics, data: str, measure: str) -> str:
    """What the interval says of `data` (or `originals_24_<data>`) against originals only.

    "better", "worse", "not clear", or, where CIDEr-D's interval lies within the margin, "no difference within ±0.1".
    """
    low, high = (metrics[f"{data}_{measure}_difference_{end}"] for end in ("low", "high"))
    if low > 0 or high < 0:
        return "better" if low > 0 else "worse"
    if measure == MAIN and -metrics["margin"] <= low and high <= metrics["margin"]:
        return f"no difference within ±{metrics['margin']:g}"
    return "not clear"


def with_interval(metrics: Metrics, data: str, measure: str, words: str = "{} ({} to {})") -> str:
    """ "+0.31 (+0.10 to +0.52)": the difference to originals only with its 95 % interval."""
    values = [metrics[f"{data}_{measure}_difference{end}"] for end in ("", "_low", "_high")]
    return words.format(*(f"{value:+.3f}".replace("-", "\N{MINUS SIGN}") for value in values))


def sentences(metrics: Metrics) -> list[str]:
    """The answer in one sentence for each training set with synthetic data, and what originals alone reach."""
    found = []
    for data, change in _CHANGES.items():
        share = f" ({100 * metrics[f'{data}_share']:.0f} % of the training set)" if data == "mixed" else ""
        counts = f"{metrics['trainings']:g} seeds, {metrics['n']:g} test images"
        difference = with_interval(metrics, data, MAIN, "{} (95 % interval {} to {}, " + counts + ")")
        text = f"**{change}**{share} changes {MEASURE_NAMES[MAIN]} by {difference}: **{verdict(metrics, data, MAIN)}**."
        told: dict[str, list[str]] = {"better": [], "worse": [], "not clear": []}
        for measure, name in MEASURE_NAMES.items():
            if measure != MAIN and f"{data}_{measure}_difference" in metrics:
                told[verdict(metrics, data, measure)].append(name)
        others = "; ".join(f"{word}: {', '.join(names)}" for word, names in told.items() if names)
        found.append(f"{text} The other measures are {others}." if others else text)
    if f"{BASELINE}_both_correct" in metrics:
        share = 100 * metrics[f"{BASELINE}_both_correct"]
        found.append(
            f"**Trained on originals only**, captions name digit and photograph of {share:.0f} % of test images."
        )
    return found

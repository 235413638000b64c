"""Does synthetic data help captioning? Scores of every training set beside those of originals only.

Runs differ in their training set and their seed; all caption the same test images, which are originals. Captioners
that were trained on none of these sets have scores, but no difference.
"""

from collections.abc import Mapping

import pandas as pd

from difflab.metrics.paired import difference

BASELINE = "original"
DATA = (BASELINE, "mixed", "synthetic")
ZERO_SHOT, INSTRUCT = "zero_shot", "instruct"
UNTRAINED = (ZERO_SHOT, INSTRUCT)
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
    """The share of synthetic rows in each training set, in 0..1.

    Args:
        rows: the mixed data set, with the columns `split` and `source` ("original" or "synthetic").
    """
    source = rows.loc[rows["split"] == "train", "source"]
    return {BASELINE: 0.0, "mixed": float((source == "synthetic").mean()), "synthetic": 1.0}


def summarise(images: pd.DataFrame, runs: pd.DataFrame, *, seed: int, resamples: int) -> dict[str, float]:
    """Flat metrics of all training sets.

    Args:
        images: one row per run and test image: `data` (of `DATA` or `UNTRAINED`), `seed`, `id` and those columns of
            `MEASURE_NAMES` that are known.
        runs: one row per run: `data`, `share`, `seed` and a column for each measure, of the run as a whole.
        seed, resamples: of the bootstrap.

    Returns:
        `<data>_<measure>`: mean over runs, with `_std` over seeds (ddof 1) where there are several. For the training
        sets with synthetic data `<data>_<measure>_difference` to originals only, paired by seed and image, with the
        ends `_low` and `_high` of its 95 % interval. `<data>_share` of synthetic data; `n` test images; `seeds`.

    Raises:
        DifflabError: the runs differ in their seeds or images, or there are fewer than two seeds.
    """
    metrics: dict[str, float] = {
        "n": images["id"].nunique(),
        "seeds": runs.loc[runs["data"] == BASELINE, "seed"].nunique(),
    }
    for data, rows in runs.groupby("data", sort=False):
        if data in DATA:
            metrics[f"{data}_share"] = float(rows["share"].iloc[0])
        for measure in runs.columns.drop(["data", "share", "seed"]):
            metrics[f"{data}_{measure}"] = float(rows[measure].mean())
            if len(rows) > 1:
                metrics[f"{data}_{measure}_std"] = float(rows[measure].std(ddof=1))
    for measure in (m for m in MEASURE_NAMES if m in images):
        values = images.pivot(index=["data", "seed"], columns="id", values=measure)
        for data in DATA[1:]:
            found = difference(values.loc[data], values.loc[BASELINE], seed=seed, resamples=resamples)
            key = f"{data}_{measure}_difference"
            metrics |= {key: found.mean, f"{key}_low": found.low, f"{key}_high": found.high}
    return metrics


def verdict(metrics: Metrics, data: str, measure: str) -> str:
    """What the interval says of `data` against originals only: "better", "worse" or "not clear"."""
    key = f"{data}_{measure}_difference"
    if metrics[f"{key}_low"] > 0:
        return "better"
    return "worse" if metrics[f"{key}_high"] < 0 else "not clear"


def sentences(metrics: Metrics) -> list[str]:
    """The answer in one sentence for each training set with synthetic data, and what originals alone reach."""
    found = [_sentence(metrics, data) for data in DATA[1:]]
    if f"{BASELINE}_both_correct" in metrics:
        share = 100 * metrics[f"{BASELINE}_both_correct"]
        found.append(
            f"**Trained on originals only**, captions name digit and photograph of {share:.0f} % of test images."
        )
    return found


def with_interval(metrics: Metrics, data: str, measure: str) -> str:
    """ "+0.31 (+0.10 to +0.52)": the difference to originals only with its 95 % interval."""
    key = f"{data}_{measure}_difference"
    mean, low, high = (_signed(metrics[k]) for k in (key, f"{key}_low", f"{key}_high"))
    return f"{mean} ({low} to {high})"


def _sentence(metrics: Metrics, data: str) -> str:
    key = f"{data}_{MAIN}_difference"
    mean, low, high = (_signed(metrics[k]) for k in (key, f"{key}_low", f"{key}_high"))
    share = f" ({100 * metrics[f'{data}_share']:.0f} % of the training set)" if data == "mixed" else ""
    text = (
        f"**{_CHANGES[data]}**{share} changes {MEASURE_NAMES[MAIN]} by {mean} (95 % interval {low} to {high}, "
        f"{metrics['seeds']:g} seeds, {metrics['n']:g} test images): **{verdict(metrics, data, MAIN)}**."
    )
    others = [m for m in MEASURE_NAMES if m != MAIN and f"{data}_{m}_difference" in metrics]
    told = []
    for word in ("better", "worse", "not clear"):
        if names := [MEASURE_NAMES[m] for m in others if verdict(metrics, data, m) == word]:
            told.append(f"{word}: {', '.join(names)}")
    return f"{text} The other measures are {'; '.join(told)}." if told else text


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")

"""metrics/summary.json: the headline numbers of every stage in one flat file, for comparing experiments."""

from collections.abc import Mapping

import pandas as pd

from difflab.report.inputs import CAPTIONER_STAGES, CELLS, DDPM_STAGES, METRIC_STAGES, Inputs
from difflab.sd3.cells import CAPTIONS, FINE_TUNED, mean_on_sigma

Numbers = dict[str, float]


def summarise(
    inputs: Inputs, logit_means: Mapping[str, float], density: Mapping[str, object], comparable: bool
) -> Numbers:
    """All headline numbers: scores under their own names, other stages as `<stage>_<key>`.

    Args:
        logit_means: mean of the logit-normal density by column: {"minus": -0.5, ...}.
        density: `convention` and `shift` of the training density.
        comparable: whether the settings are the published ones.
    """
    score = inputs.metrics("score")
    summary: Numbers = {"comparable_with_published": int(comparable)}
    for adapter in FINE_TUNED:
        mean = logit_means[adapter]
        summary[f"{adapter}_logit_mean"] = mean
        summary[f"{adapter}_logit_mean_on_sigma"] = mean_on_sigma(mean, str(density["convention"]))
    summary["shift"] = density["shift"]
    summary |= score | best_cell(score)
    for stage in METRIC_STAGES:
        if stage != "score":
            summary |= _prefixed(stage, inputs.metrics(stage))
    for stage in DDPM_STAGES + CAPTIONER_STAGES:
        summary |= _prefixed(stage.replace("@", "_"), inputs.metrics(stage))
    for cell in CELLS:
        summary |= _prefixed(f"finetune_{cell}", inputs.metrics(f"finetune@{cell}"))
    return {k.replace("-", "_"): v for k, v in summary.items() if _is_number(v)}


def best_cell(score: Mapping[str, float]) -> Numbers:
    """The lowest FID of a fine-tuned cell, and the worst ratio of fine-tuned to pretrained FID; empty if
    unscored."""
    tuned = {(a, c): score.get(f"{a}_{c}_fid") for a in FINE_TUNED for c in CAPTIONS}
    tuned = {cell: value for cell, value in tuned.items() if value is not None}
    if not tuned:
        return {}
    result = {"best_fid": min(tuned.values())}
    ratios = [
        v / score[f"pretrained_{c}_fid"] for (_, c), v in tuned.items() if score.get(f"pretrained_{c}_fid")
    ]
    if ratios:
        result["largest_fid_ratio_to_pretrained"] = max(ratios)
    accuracies = [score[k] for a, c in tuned if (k := f"{a}_{c}_digit_accuracy") in score]
    if accuracies:
        result["lowest_fine_tuned_digit_accuracy"] = min(accuracies)
    return result


def best_point(rows: pd.DataFrame | None, x: str) -> tuple[float, float] | None:
    """The point of lowest mean FID of a curve, as (x, FID)."""
    if rows is None or rows.empty:
        return None
    means = rows.groupby(x).fid.mean()
    return float(means.idxmin()), float(means.min())


def _prefixed(stage: str, metrics: Mapping[str, object]) -> dict[str, object]:
    return {f"{stage}_{key}": value for key, value in metrics.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

"""Means over trainings with their intervals, and the verdict on each pair of logit means."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from difflab.sd3.artifacts.cells import FINE_TUNED, PUBLISHED
from difflab.sd3.score_summary import compared, summarise, values_of
from fakes.study_results import score_table


def noisy(trainings, share, means=(8.0, 8.0, 8.0), seed=0):
    """A table whose fine-tuned FIDs spread by a share of their cell's mean."""
    table, draws = score_table(range(trainings)), np.random.default_rng(seed)
    for adapter, mean in zip(FINE_TUNED, means, strict=True):
        rows = table.adapter == adapter
        table.loc[rows, "fid"] = mean * (1 + share * draws.standard_normal(rows.sum()))
    return table


def test_a_trainings_value_is_the_mean_over_its_draws():
    cells = values_of(score_table(trainings=(0, 3), draws=(0, 1)), "fid", ["minus"])
    assert cells == {"minus_blip2": [8.125, 11.125], "minus_llama3": [9.125, 12.125]}


def test_metrics_are_means_over_trainings_with_intervals_of_the_pooled_spread():
    table = noisy(3, 0.05)
    metrics = summarise(table)
    cells = {(a, c): table[(table.adapter == a) & (table.captions == c)].fid for a in FINE_TUNED for c in PUBLISHED}
    pooled = np.sqrt(np.mean([(fid.std() / fid.mean()) ** 2 for fid in cells.values()]))
    assert metrics["fid_relative_spread"] == pytest.approx(pooled)
    assert metrics["fid_freedom"] == 12
    mean = cells["zero", "llama3"].mean()
    half = stats.t.ppf(0.975, 12) * pooled * mean / np.sqrt(3)
    found = [metrics[f"zero_llama3_fid{end}"] for end in ("", "_low", "_high")]
    assert found == pytest.approx([mean, mean - half, mean + half])


def test_the_base_has_a_spread_of_its_own_which_is_that_of_generation():
    table = noisy(2, 0.01)
    calm = summarise(table)
    table.loc[(table.adapter == "pretrained") & (table.training == 1), "fid"] += 20
    wild = summarise(table)
    assert wild["fid_relative_spread"] == calm["fid_relative_spread"]
    assert wild["pretrained_fid_relative_spread"] > 10 * calm["pretrained_fid_relative_spread"]
    assert wild["pretrained_fid_freedom"] == 2
    assert wild["pretrained_blip2_fid_low"] < wild["pretrained_blip2_fid"] == 70.5


def test_the_floor_and_the_real_images_stand_beside():
    metrics = summarise(score_table())
    assert (metrics["floor_fid"], metrics["floor_fid_infinity"], metrics["real_digit_accuracy"]) == (2.5, 0.5, 0.97)
    assert metrics["real_precision"] == pytest.approx(1 / 1.05)
    assert all(np.isfinite(value) for value in metrics.values())


def test_one_training_has_neither_interval_nor_verdict():
    table = score_table(trainings=(0,), draws=(0, 1))
    metrics = summarise(table) | compared(table, margin=0.1)
    assert metrics["minus_blip2_fid"] == 8.125
    assert metrics["blip2_minus_zero_fid_difference"] == 1.0
    assert not [name for name in metrics if name.endswith(("_low", "_high", "spread", "_freedom", "_verdict", "_std"))]


def test_a_table_without_classes_gives_no_accuracy():
    table = score_table().assign(digit_accuracy=None).drop(columns="photo_accuracy")
    assert not [name for name in summarise(table) if "accuracy" in name]


def test_each_pair_of_means_has_its_difference_and_interval():
    table = noisy(4, 0.05, means=(8.0, 9.0, 10.0))
    metrics = compared(table, margin=0.1)
    pairs = list(itertools.product(PUBLISHED, (("minus", "zero"), ("minus", "plus"), ("zero", "plus"))))
    assert len(metrics) == 4 * len(pairs)
    summary = summarise(table)
    for captions, (a, b) in pairs:
        means = [summary[f"{adapter}_{captions}_fid"] for adapter in (a, b)]
        half = stats.t.ppf(0.975, 18) * summary["fid_relative_spread"] * np.sqrt(sum(m**2 for m in means) / 4)
        found = [metrics[f"{captions}_{a}_{b}_fid_difference{end}"] for end in ("", "_low", "_high")]
        middle = means[0] - means[1]
        assert found == pytest.approx([middle, middle - half, middle + half])


@pytest.mark.parametrize(
    ("trainings", "share", "verdict"),
    [(10, 0.02, {"minus_zero": "equal", "minus_plus": "better"}), (2, 0.2, {"minus_zero": "open"})],
)
def test_verdicts(trainings, share, verdict):
    metrics = compared(noisy(trainings, share, means=(8.0, 8.1, 12.0)), margin=0.1)
    assert {pair: metrics[f"blip2_{pair}_fid_verdict"] for pair in verdict} == verdict
    assert pd.Series(metrics).filter(like="verdict").isin(["better", "worse", "equal", "open"]).all()

"""Intervals of cells with a few trainings each: coverage by simulation, and values known in closed form."""

import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from difflab.core.base.errors import DifflabError
from difflab.metrics.uncertainty.intervals import (
    Spread,
    apart,
    difference,
    equivalence,
    mean_interval,
    pooled_spread,
    prediction_interval,
    student,
    widened,
    with_intervals,
)

MEANS = np.array([26.0, 12.0, 7.3, 6.0, 7.2, 6.4, 7.5, 6.5])  # the FIDs of a table of eight cells
RATES = np.array([0.55, 0.7, 0.8, 0.88, 0.93, 0.95, 0.97, 0.9])  # accuracies of eight cells
DRAWS = 2000
SEEDS = [2, 3, 4, 5]
SCALES = ["absolute", "relative", "share"]


def truth(scale: str) -> np.ndarray:
    return RATES if scale == "share" else MEANS


@functools.cache
def draws(trainings: int, scale: str) -> tuple[np.ndarray, np.ndarray, list[Spread]]:
    """Tables [draw, cell, training] of what was measured, and of what as many new trainings give; their spreads.

    Shares: each training has a rate of its own, of a beta distribution, and names the classes of 300 images.
    """
    generator, means = np.random.default_rng(trainings), truth(scale)[:, None]
    size = (2, DRAWS, len(means), trainings)
    if scale == "share":
        first, again = generator.binomial(300, generator.beta(200 * means, 200 * (1 - means), size)) / 300
    else:
        first, again = means + (0.06 * means if scale == "relative" else 0.5) * generator.normal(size=size)
    named = ({str(i): values for i, values in enumerate(cells)} for cells in first)
    return first, again, [pooled_spread(cells, scale) for cells in named]


def covered(trainings: int, scale: str, hits) -> float:
    """The share of all draws and cells whose interval contains what it should."""
    return float(np.mean([hits(*table) for table in zip(*draws(trainings, scale), strict=True)]))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("trainings", SEEDS)
def test_the_interval_of_a_mean_contains_the_truth_in_95_of_100_draws(trainings: int, scale: str):
    def hits(cells, new, spread):
        ends = [mean_interval(mean, trainings, spread) for mean in cells.mean(axis=1)]
        return [low <= mean <= high for mean, (low, high) in zip(truth(scale), ends, strict=True)]

    assert 0.93 <= covered(trainings, scale, hits) <= 0.97


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("trainings", SEEDS)
def test_the_prediction_interval_contains_the_mean_of_new_trainings(trainings: int, scale: str):
    def hits(cells, new, spread):
        ends = [prediction_interval(mean, trainings, spread) for mean in cells.mean(axis=1)]
        return [low <= mean <= high for mean, (low, high) in zip(new.mean(axis=1), ends, strict=True)]

    assert 0.93 <= covered(trainings, scale, hits) <= 0.97


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("trainings", SEEDS)
def test_the_interval_of_a_difference_contains_the_true_difference(trainings: int, scale: str):
    def hits(cells, new, spread):
        means = cells.mean(axis=1)
        ends = [difference(a, b, trainings, spread)[1:] for a, b in itertools.pairwise(means)]
        return [low <= apart <= high for apart, (low, high) in zip(-np.diff(truth(scale)), ends, strict=True)]

    assert 0.93 <= covered(trainings, scale, hits) <= 0.97


def test_cells_that_are_equal_are_called_different_in_five_of_a_hundred_draws():
    first, again, spreads = draws(2, "absolute")
    pairs = zip(first[:, 3], again[:, 3], spreads, strict=True)
    kept = [equivalence(a.mean(), b.mean(), 2, s, 1e-9, lower_is_better=True) == "open" for a, b, s in pairs]
    assert 0.93 <= np.mean(kept) <= 0.97


def test_a_difference_as_large_as_the_margin_is_called_equal_in_at_most_five_of_a_hundred_draws():
    first, again, spreads = draws(5, "absolute")
    pairs = zip(first[:, 3] + 1.0, again[:, 3], spreads, strict=True)
    equal = [equivalence(a.mean(), b.mean(), 5, s, 1.0, lower_is_better=True) == "equal" for a, b, s in pairs]
    assert 0.03 <= np.mean(equal) <= 0.07


def test_the_spread_is_that_of_a_one_way_analysis_of_variance():
    spread = pooled_spread({"a": [1.0, 3.0], "b": [10.0, 10.0], "c": [5.0, 8.0]})
    assert spread == Spread(pytest.approx(math.sqrt((2 + 0 + 4.5) / 3)), 3)


def test_the_relative_spread_is_a_share_of_each_mean():
    spread = pooled_spread({"a": [9.0, 11.0], "b": [90.0, 110.0]}, "relative")
    assert spread.size == pytest.approx(math.sqrt(0.02))
    assert spread.around(50.0, 1.0) == pytest.approx((50 - 50 * math.sqrt(0.02), 50 + 50 * math.sqrt(0.02)))


def test_the_spread_of_shares_is_that_of_their_angles():
    spread = pooled_spread({"a": [0.25, 0.5], "b": [1.0, 1.0]}, "share")
    assert spread.size == pytest.approx(math.sqrt(((math.pi / 12) ** 2 / 2) / 2))  # asin sqrt: 30 and 45 degrees
    low, high = spread.around(1.0, 1.0)
    assert (low, high) == (pytest.approx(math.cos(spread.size) ** 2), 1.0)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 10))
def test_no_interval_of_a_share_leaves_0_to_1(mean: float, size: float, errors: float):
    low, high = Spread(size, 1, "share").around(mean, errors)
    assert 0 <= low <= mean <= high <= 1


@given(st.floats(0.01, 0.99), st.floats(0, 0.3), st.floats(1, 3), st.sampled_from(SCALES))
def test_a_widened_interval_is_that_of_as_many_more_errors(mean: float, size: float, factor: float, scale: str):
    spread = Spread(size, 1, scale)
    assert widened(mean, spread.around(mean, 1.0), factor, scale) == pytest.approx(
        spread.around(mean, factor), abs=1e-6
    )


def test_two_intervals_of_one_point_are_apart_by_their_difference():
    assert apart(5.0, (5.0, 5.0), 3.0, (3.0, 3.0)) == (2.0, 2.0)
    assert apart(5.0, (4.0, 8.0), 3.0, (3.0, 3.0)) == (1.0, 5.0)
    assert apart(5.0, (4.0, 8.0), 3.0, (2.0, 3.0)) == (1.0, 2 + math.hypot(3, 1))


def test_intervals_by_hand():
    spread, quantile = Spread(2.0, 3), t.ppf(0.975, 3)
    assert mean_interval(10.0, 4, spread) == pytest.approx((10 - quantile, 10 + quantile))
    assert prediction_interval(10.0, 4, spread, again=1)[1] == pytest.approx(10 + quantile * 2 * math.sqrt(1.25))
    assert difference(10.0, 7.0, 2, spread, others=4) == pytest.approx(
        (3.0, 3 - quantile * math.sqrt(3), 3 + quantile * math.sqrt(3))
    )


@pytest.mark.parametrize("freedom", [1, 2.5, 8, 1000])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_the_quantile_is_that_of_scipy_stats(freedom: float, level: float):
    assert student(freedom, level) == pytest.approx(t.ppf((1 + level) / 2, freedom))


@pytest.mark.parametrize(
    ("a", "b", "lower_is_better", "said"),
    [
        (5.0, 9.0, True, "better"),
        (9.0, 5.0, True, "worse"),
        (9.0, 5.0, False, "better"),
        (5.0, 5.1, True, "equal"),
        (5.0, 6.5, True, "open"),
        (5.0, 5.8, True, "equal"),  # clear, but known to be smaller than the margin
    ],
)
def test_verdicts(a: float, b: float, lower_is_better: bool, said: str):
    spread = Spread(0.1 if abs(a - b) < 1 else 1.0, 20)
    assert equivalence(a, b, 2, spread, margin=1.0, lower_is_better=lower_is_better) == said


def test_a_margin_is_a_share_where_the_spread_is():
    spread = Spread(0.01, 20, "relative")
    assert equivalence(105.0, 100.0, 2, spread, margin=0.1, lower_is_better=True) == "equal"
    assert equivalence(0.6, 0.5, 2, spread, margin=0.1, lower_is_better=True) == "worse"


def test_metrics_of_a_table():
    metrics = with_intervals({"a": [9.0, 11.0], "b": [19.0, 21.0]}, "fid")
    low, high = mean_interval(10.0, 2, pooled_spread({"a": [9.0, 11.0], "b": [19.0, 21.0]}, "relative"))
    assert (metrics["a_fid"], metrics["a_fid_low"], metrics["a_fid_high"]) == pytest.approx((10.0, low, high))
    assert metrics["fid_freedom"] == 2
    assert "fid_relative_spread" in metrics
    assert "fid_spread" not in metrics


def test_distances_that_fall_below_zero_have_an_absolute_spread():
    assert "kid_spread" in with_intervals({"a": [-0.2, 0.1], "b": [3.0, 3.1]}, "kid")


def test_one_training_gives_means_alone():
    assert with_intervals({"a": [3.0], "b": [4.0]}, "fid") == {"a_fid": 3.0, "b_fid": 4.0}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pooled_spread({}), "cells with one training or more"),
        (lambda: pooled_spread({"a": [1.0, 2.0], "b": [1.0]}), r"unequal numbers of trainings \(b 1, a 2\)"),
        (lambda: pooled_spread({"a": [1.0, math.nan]}), "a has a value that is not finite"),
        (lambda: pooled_spread({"a": [-1.0, 1.0]}, "relative"), "needs positive values"),
        (lambda: mean_interval(1.0, 1, Spread(0.0, 0)), "two trainings or more"),
        (lambda: difference(1.0, 2.0, 1, Spread(0.0, 0)), "two trainings or more"),
        (lambda: equivalence(1.0, 2.0, 2, Spread(1.0, 5), 0.0, lower_is_better=True), "give a positive one"),
    ],
)
def test_what_cannot_be_told_is_refused_in_one_line(call, message: str):
    with pytest.raises(DifflabError, match=message) as error:
        call()
    assert "\n" not in str(error.value)

"""Intervals of differences over seeds and images: how often they hold the truth, and what they refuse."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.metrics.uncertainty import paired
from difflab.metrics.uncertainty.paired import difference, drawn_means, interval

REPETITIONS = 400


def simulated(repetition: int, seeds=5, images=48, by_seed=1.0, by_image=1.0, rest=1.0, mean=0.0) -> pd.DataFrame:
    """Values [seeds, images] around `mean` with normal effects of the seed, the image, and of both together."""
    draw = rng.numpy_rng(0, "simulated", repetition)
    values = by_seed * draw.normal(size=(seeds, 1)) + by_image * draw.normal(size=(1, images))
    values = mean + values + rest * draw.normal(size=(seeds, images))
    return pd.DataFrame(values, range(seeds), [f"image-{i:03d}" for i in range(images)])


def coverage(**effects) -> float:
    """How often the interval holds the true mean 0.7."""
    found = [interval(simulated(n, mean=0.7, **effects)) for n in range(REPETITIONS)]
    return np.mean([i.low <= 0.7 <= i.high for i in found])


@pytest.mark.parametrize(
    "effects",
    [
        {},
        {"by_image": 0.0, "rest": 0.1},  # only the seeds matter
        {"by_seed": 0.0, "rest": 0.1},  # only the images matter
        {"by_seed": 0.06, "rest": 1.7},  # as captions' CIDEr-D: mostly noise of single values
        {"by_seed": 0.06, "rest": 1.7, "seeds": 10, "images": 200},
        {"seeds": 10, "images": 20},
        {"images": 300},
        {"seeds": 3, "by_image": 0.0, "rest": 0.1},
    ],
    ids=str,
)
def test_the_interval_holds_the_truth_in_about_95_of_100_studies(effects):
    assert 0.92 <= coverage(**effects) <= 0.98  # 400 studies: 0.95 +- 0.022


def test_where_neither_seeds_nor_images_matter_as_such_the_interval_is_on_the_safe_side():
    assert coverage(by_seed=0.0, by_image=0.0) > 0.975


def test_the_standard_error_is_that_of_a_two_way_analysis_of_variance_by_hand():
    """Seeds 1 and 4, images 1.5, 2.5 and 3.5, and a rest of +-.5: mean squares 13.5, 2 and .5 over 2 x 3 values."""
    values = pd.DataFrame([[-0.5, 1.0, 2.5], [3.5, 4.0, 4.5]])
    assert paired.mean_squares(values.to_numpy()) == pytest.approx([13.5 / 6, 2 / 6, 0.5 / 6])
    found = interval(values)
    assert found.standard_error == pytest.approx(math.sqrt((13.5 + 2 - 0.5) / 6))
    assert found.freedom == pytest.approx(15**2 / (13.5**2 / 1 + 2**2 / 2 + 0.5**2 / 2))


def test_the_estimated_variance_is_that_of_many_studies():
    effects = {"by_seed": 0.6, "by_image": 2.0, "rest": 0.7}
    studies = [simulated(n, **effects) for n in range(REPETITIONS)]
    estimated = np.mean([interval(values).standard_error ** 2 for values in studies])
    assert estimated == pytest.approx(np.var([values.to_numpy().mean() for values in studies]), rel=0.2)


def test_seeds_that_agree_more_than_chance_narrow_nothing():
    """Each seed's mean is the same: what is left is the spread of images, as it would be of one seed."""
    values = simulated(0)
    level = values.sub(values.mean(axis=1), axis=0)
    by_image = level.mean().std() / math.sqrt(level.shape[1])
    assert interval(level).standard_error == pytest.approx(by_image)


def test_the_interval_is_students_around_the_mean():
    values = simulated(1)
    found = interval(values)
    assert found.mean == pytest.approx(values.to_numpy().mean())
    half = t.ppf(0.975, found.freedom) * found.standard_error
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half))


@pytest.mark.parametrize("more", [{"images": 192}, {"seeds": 20}])
def test_more_images_and_more_seeds_narrow_it(more):
    def width(**sizes):
        found = [interval(simulated(n, **sizes)) for n in range(20)]
        return np.mean([i.high - i.low for i in found])

    sizes = {"by_seed": 1, "by_image": 0.2} if "seeds" in more else {"by_seed": 0.05, "by_image": 1}
    assert width(**sizes, **more) < 0.6 * width(**sizes)


def test_equal_differences_have_an_interval_without_width():
    a = simulated(0)
    assert difference(a, a) == paired.Interval(0, 0, 0, 0, math.inf)
    shifted = difference(a.round(3) + 2**-4, a.round(3))
    assert (shifted.low, shifted.high) == pytest.approx((2**-4, 2**-4))
    constant = pd.DataFrame(0.1, range(5), range(7))
    assert interval(constant) == paired.Interval(0.1, 0.1, 0.1, 0, math.inf)


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(2, 30))
def test_the_difference_turned_round_has_the_interval_turned_round(repetition, seeds, images):
    a, b = (simulated(repetition + k, seeds, images, mean=0.4 * k) for k in (0, 1))
    ours, theirs = difference(a, b), difference(b, a)
    assert (ours.mean, ours.low, ours.high) == pytest.approx((-theirs.mean, -theirs.high, -theirs.low))


def test_what_both_systems_share_falls_out():
    """Hard images and lucky seeds do not widen the interval of a paired difference."""
    common, own = (simulated(0, by_seed=50, by_image=50), simulated(1, by_seed=0.1, by_image=0.1, rest=0.1, mean=1))
    found = difference(common + own, common)
    assert found.low == pytest.approx(interval(own).low)
    assert found.low > 0.5


def test_the_order_of_rows_changes_nothing():
    a, b = simulated(0), simulated(1)
    assert difference(a.iloc[::-1, ::-1], b.iloc[[2, 0, 1, 4, 3]]) == difference(a, b)


def test_draws_vary_as_seeds_and_images_do_and_noise_counts_up_to_three_times():
    values = simulated(0)
    draws = drawn_means({"a": values}, seed=0, resamples=50_000)["a"]
    assert draws.std() == pytest.approx(math.sqrt(sum(paired.mean_squares(values.to_numpy()))), rel=0.01)


def test_draws_are_paired_by_seed_only_where_the_seeds_are_the_same():
    lucky = simulated(0, by_seed=5)
    more = pd.concat([lucky, simulated(1, by_seed=5).set_axis(range(5, 10))])
    draws = drawn_means({"a": lucky, "b": lucky + 1, "c": more}, seed=0, resamples=2000)
    assert draws["b"] - draws["a"] == pytest.approx(np.ones(2000))
    assert abs(np.corrcoef(draws["a"], draws["c"])[0, 1]) < 0.2
    assert draws["c"].std() < draws["a"].std()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (simulated(0, seeds=1), "an interval over seeds needs two or more of them, not 1"),
        (simulated(0, images=1), "an interval over images needs two or more of them, not 1"),
        (simulated(0).iloc[[0, 1, 1]], "seeds occur twice, first 1"),
        (simulated(0).replace(simulated(0).iloc[2, 5], np.nan), "the value of seed 2 and image image-005 is missing"),
        (simulated(0).replace(simulated(0).iloc[2, 5], np.inf), "the value of seed 2 and image image-005 is infinite"),
    ],
)
def test_values_without_an_interval_are_refused(values, message):
    with pytest.raises(DifflabError, match=message):
        interval(values)


def test_unpaired_sets_are_refused():
    a = simulated(0)
    with pytest.raises(DifflabError, match="the same seeds on both sides: 1 stand on one only, first 4"):
        difference(a, a.iloc[:4])
    with pytest.raises(DifflabError, match="the same images on both sides: 2 stand on one only, first image-000"):
        difference(a.iloc[:, 2:], a)

"""The curve by the number of originals: differences at each, and what a synthetic picture is worth."""

import numpy as np
import pytest

from difflab.captioning.by_originals import equivalent, sentences, sizes_of, summarise, worth_text
from difflab.metrics.uncertainty.paired import difference
from fakes.captioning_results import CURVE, sized

SIZES = [24, 96, 384]


@pytest.fixture(scope="module")
def metrics():
    return {"margin": 0.1} | summarise(*sized(), seed=0, resamples=400)


def test_means_and_differences_stand_for_each_number_of_originals(metrics):
    assert sizes_of(metrics) == SIZES
    assert metrics["originals"] == 384
    images, _ = sized()
    tables = {
        d: t.pivot(index="seed", columns="id", values="cider_d")
        for d, t in images[images.originals == 96].groupby("data")
    }
    expected = difference(tables["mixed"], tables["original"])
    key = "originals_96_mixed_cider_d_difference"
    assert [metrics[key], metrics[f"{key}_low"], metrics[f"{key}_high"]] == pytest.approx(
        [expected.mean, expected.low, expected.high]
    )
    assert metrics["originals_24_mixed_cider_d"] == pytest.approx(CURVE["mixed"][0], abs=0.01)


def test_a_score_between_two_sizes_is_interpolated_in_the_logarithm():
    curve = [np.array([v]) for v in (0.3, 0.4, 0.5)]
    found = [equivalent(np.array([score]), SIZES, curve)[0] for score in (0.3, 0.35, 0.4, 0.5)]
    assert found == pytest.approx([24, 48, 96, 384])


def test_beyond_the_curve_stands_its_end():
    curve = [np.array([v]) for v in (0.3, 0.4, 0.5)]
    assert [equivalent(np.array([s]), SIZES, curve)[0] for s in (0.1, 0.9)] == pytest.approx([24, 384])


def test_a_falling_curve_counts_as_level():
    """At .4 the first number that reaches it, though the curve falls after."""
    curve = [np.array([v]) for v in (0.3, 0.5, 0.4)]
    assert equivalent(np.array([0.4]), SIZES, curve)[0] == pytest.approx(48)


def test_a_synthetic_picture_is_worth_the_originals_that_reach_the_same_score(metrics):
    """.35 beside 24 originals and 72 pictures: as 48 originals, so 24 more by 72 pictures."""
    assert metrics["originals_24_worth"] == pytest.approx(1 / 3, abs=0.03)
    assert metrics["originals_24_worth_low"] < metrics["originals_24_worth"] < metrics["originals_24_worth_high"]
    assert metrics["originals_24_worth_reached"] == 1
    assert metrics["originals_96_worth"] == pytest.approx(0, abs=0.02)
    assert metrics["originals_384_worth"] < 0


def test_the_interval_of_the_worth_holds_the_truth_as_often_as_it_says():
    truth, held = 1 / 3, 0
    exact, runs = sized(count=30, noise=0.0)
    training = exact.groupby(["data", "originals", "seed"]).ngroup().to_numpy()
    for shift in range(60):
        draw = np.random.default_rng(shift)
        of_image, of_training = draw.normal(0, 0.05, len(exact)), draw.normal(0, 0.01, training.max() + 1)
        images = exact.assign(cider_d=exact["cider_d"] + of_image + of_training[training])
        found = summarise(images, runs, seed=shift, resamples=200)
        held += found["originals_24_worth_low"] <= truth <= found["originals_24_worth_high"]
    assert held >= 53


def test_all_originals_may_have_more_seeds_than_fewer_ones(metrics):
    images, runs = (table[(table.originals == 384) | (table.seed < 3)] for table in sized())
    found = summarise(images, runs, seed=0, resamples=400)
    assert [found[f"originals_{size}_trainings"] for size in SIZES] == [3, 3, 5]
    key = "originals_384_mixed_cider_d_difference"
    assert [found[f"{key}{end}"] for end in ("", "_low", "_high")] == [
        metrics[f"{key}{end}"] for end in ("", "_low", "_high")
    ]
    assert found["originals_24_worth_low"] < found["originals_24_worth"] < found["originals_24_worth_high"]
    assert found["originals_24_worth"] == pytest.approx(1 / 3, abs=0.05)
    assert sentences({"margin": 0.1} | found)[1].endswith("trainings, 3 of each number and 5 of all.)")


def test_one_size_has_no_curve():
    images, runs = sized()
    assert summarise(images[images.originals == 384], runs[runs.originals == 384], seed=0, resamples=100) == {}
    assert sentences({}) == []


def test_the_sentences_say_where_it_helps_and_what_it_is_worth(metrics):
    first, second = sentences(metrics)
    assert "helps at 24 (+0.05); no difference within ±0.1 at 96 (" in first
    assert "; hurts at 384 (−0.06)" in first
    assert second.startswith("**One synthetic picture beside 24 originals is worth** 0.3")


@pytest.mark.parametrize(("score", "text"), [(0.9, "above 4.00"), (0.1, "below 0.00")])
def test_a_worth_beyond_the_curve_is_a_bound(metrics, score, text):
    known = {"originals_24_mixed_cider_d": score, "originals_24_worth": 4.0 if score > 0.5 else 0.0}
    assert worth_text(metrics | known, 24) == text

"""Effects, ranks and agreement, against closed forms and scipy."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from difflab.sd3.blocks import ranking
from difflab.sd3.blocks.effects import WHOLE, Seen
from difflab.sd3.blocks.ways import WAYS
from fakes.block_results import IMPORTANCE, cells, distance


def test_the_effect_is_that_of_the_cell_minus_that_of_the_whole():
    made = cells(IMPORTANCE)
    found = ranking.effects(made, distance).set_index(["way", "block", "measure"])
    assert found.loc[("mean", 1, "loss"), "effect"] == pytest.approx(3, abs=0.05)
    assert found.loc[("mean", 1, "loss_sigma_0.9"), "effect"] == pytest.approx(3, abs=0.1)
    assert found.loc[("mean", 1, "digit_accuracy"), "effect"] == pytest.approx(-0.25)
    fid = distance(made["mean-1"].features) - distance(made[WHOLE].features)
    assert found.loc[("mean", 1, "fid"), "effect"] == pytest.approx(fid)
    assert (found["low"] <= found["effect"]).all()
    assert (found["high"] >= found["effect"]).all()


def test_what_no_picture_shows_is_no_measure():
    made = cells(IMPORTANCE)
    made = {n: Seen(s.errors, s.features, {"digit": np.full(40, np.nan)}) for n, s in made.items()}
    assert "digit_accuracy" not in set(ranking.effects(made, distance)["measure"])


def test_the_interval_of_a_mean_is_that_of_scipy():
    values = np.random.default_rng(0).normal(size=12)
    mean, ends = ranking.mean_with_interval(values)
    interval = stats.ttest_1samp(values, 0).confidence_interval()
    assert mean == pytest.approx(values.mean())
    assert ends == pytest.approx((interval.low, interval.high))


def test_the_jackknife_of_a_mean_is_students_interval_of_the_parts():
    """Ten parts of two images each: the classical standard error of their means, exactly."""
    values = np.random.default_rng(1).normal(size=20)
    value, ends = ranking.jackknifed(lambda kept: values[kept].mean(), 20)
    assert value == pytest.approx(values.mean())
    assert ends == pytest.approx(ranking.mean_with_interval(values.reshape(2, 10).mean(0))[1])


def test_ranks_and_their_intervals_follow_the_effects():
    found = ranking.ranking(ranking.importances(cells(IMPORTANCE)), seed=0).set_index(["way", "block"])
    assert found["rank"].unstack().loc[list(WAYS)].to_numpy().tolist() == [[3, 1, 2], [2, 1, 3], [3, 2, 1], [3, 1, 2]]
    assert (found["rank_low"] == found["rank"]).all()
    assert (found["rank_high"] == found["rank"]).all()


def test_blocks_that_chance_orders_have_wide_ranks():
    equal = {way: [0.0, 0.0, 0.0] for way in WAYS}
    found = ranking.ranking(ranking.importances(cells(equal)), seed=0)
    assert (found["rank_high"] - found["rank_low"]).mean() >= 1


def test_agreement_is_kendalls_tau_of_scipy_with_the_chance_of_as_much():
    by_way = ranking.importances(cells(IMPORTANCE))
    found = ranking.agreement(by_way, seed=0).set_index(["first", "second"])
    assert found.loc[("mean", "patches"), ["tau", "low", "high"]].tolist() == [1, 1, 1]
    assert found.loc[("bypass", "text"), "tau"] == pytest.approx(-1 / 3)
    assert found.loc[("mean", "patches"), "p"] == pytest.approx(2 / 6)  # 1 or -1 of six orders
    assert len(found) == 6


@given(st.permutations(range(7)), st.permutations(range(7)))
def test_tau_of_untied_rankings(a, b):
    assert ranking.kendall_tau(a, b) == pytest.approx(stats.kendalltau(a, b).statistic)


def test_the_same_seed_gives_the_same_intervals():
    by_way = ranking.importances(cells(IMPORTANCE, noise=3))
    once, again = (ranking.agreement(by_way, seed=5) for _ in range(2))
    pd.testing.assert_frame_equal(once, again)


def test_metrics_are_flat_and_named_by_way_and_block():
    made = cells(IMPORTANCE)
    by_way = ranking.importances(made)
    tables = ranking.effects(made, distance), ranking.ranking(by_way, 0), ranking.agreement(by_way, 0)
    found = ranking.metrics(*tables)
    assert found["mean_1_rank"] == 1
    assert found["mean_1_loss_low"] < found["mean_1_loss"] < found["mean_1_loss_high"]
    assert found["mean_patches_tau"] == 1
    assert found["mean_fid_tau"] == 1
    assert all(isinstance(value, int | float | np.number) for value in found.values())

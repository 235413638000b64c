"""Which sets are tuned, and what their gains say of a ranking."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from difflab.core.base.errors import DifflabError
from difflab.sd3.blocks import tuning
from fakes.block_results import tuned

IMPORTANCE = {"mean": [1.0, 3.0, 2.0], "bypass": [3.0, 2.0, 1.0]}


def test_the_best_and_the_worst_of_each_way_and_all_sets_where_they_are_few():
    plan = tuning.planned(IMPORTANCE, k=1, random_sets=3, seed=0)
    assert plan.top == {"mean": (1,), "bypass": (0,)}
    assert plan.bottom == {"mean": (0,), "bypass": (2,)}
    assert plan.random == [(0,), (1,), (2,)]
    assert plan.sets == [(0,), (1,), (2,)]
    assert [plan.roles(blocks) for blocks in plan.sets] == [
        "top_bypass bottom_mean random",
        "top_mean random",
        "bottom_bypass random",
    ]


@given(st.permutations(range(24)), st.integers(1, 12), st.integers(1, 4), st.integers(0, 9))
def test_sets_are_of_k_and_the_best_and_the_worst_have_no_block_in_common(order, k, count, seed):
    plan = tuning.planned({"mean": order}, k, count, seed)
    assert all(len(set(blocks)) == k and list(blocks) == sorted(blocks) for blocks in plan.sets)
    assert not set(plan.top["mean"]) & set(plan.bottom["mean"])
    assert min(order[b] for b in plan.top["mean"]) > max(order[b] for b in plan.bottom["mean"])
    assert len(plan.random) == len(set(plan.random)) == count
    assert plan == tuning.planned({"mean": order}, k, count, seed)


def test_too_many_blocks_are_refused():
    message = "blocks.k is 2, but the transformer has 3 blocks: the best and the worst 2 would overlap; take at most 1"
    with pytest.raises(DifflabError, match=message):
        tuning.planned(IMPORTANCE, k=2, random_sets=3, seed=0)


def test_sets_of_unequal_size_are_refused():
    assert tuning.same_size({(0,): 10, (1,): 10}) == 10
    with pytest.raises(DifflabError, match="train 8 parameters in blocks 2 and 10 in 0: name layers that every block"):
        tuning.same_size({(0,): 10, (2,): 8})


def test_two_sets_are_compared_as_paired_samples():
    values = np.random.default_rng(0).normal(size=(5, 2))
    value, *ends = tuning.paired_contrast(values, np.array([1.0, -1.0]))
    reference = stats.ttest_rel(values[:, 0], values[:, 1])
    assert value == pytest.approx((values[:, 0] - values[:, 1]).mean())
    assert ends == pytest.approx(list(reference.confidence_interval()))


def test_what_all_sets_of_a_seed_share_is_no_uncertainty():
    values = np.array([[1.0, 2.0, 3.0], [11.0, 12.0, 13.0], [5.0, 6.0, 7.0]])
    assert tuning.paired_contrast(values, np.array([0, -1.0, 1.0])) == pytest.approx((1, 1, 1))


def test_the_interval_of_a_contrast_covers_the_truth_as_often_as_it_says():
    drawn, covered = np.random.default_rng(0), 0
    weights = tuning.contrast([(0,), (1,), (2,)], (1,), [(0,), (1,), (2,)])
    assert weights == pytest.approx([-1 / 3, 2 / 3, -1 / 3])
    for _ in range(600):
        values = drawn.normal(size=(3, 3)) + drawn.normal(size=(3, 1)) + [0, 1, 2]
        _, low, high = tuning.paired_contrast(values, weights)
        covered += low <= 0 <= high
    assert 0.92 <= covered / 600 <= 0.98


def test_a_ranking_that_foresees_the_gains_predicts_and_its_reverse_misleads():
    """Gains rise as the importance by "mean" does, and against that by "against"."""
    importance = {"mean": [1.0, 3.0, 2.0], "against": [3.0, 1.0, 2.0]}
    plan = tuning.planned(importance, 1, 3, seed=0)
    found = tuning.metrics(plan, importance, tuned(plan))
    assert found["mean_verdict"] == "predicts"
    assert found["mean_gain_tau"] == 1
    assert found["mean_top_minus_bottom_gain"] == pytest.approx(0.2, abs=0.005)
    assert found["mean_top_minus_random_gain"] == pytest.approx(0.1, abs=0.005)
    assert found["mean_top_minus_bottom_fid"] == pytest.approx(-0.2)
    assert found["against_verdict"] == "misleads"
    assert found["against_gain_tau"] == -1


def test_gains_that_differ_by_chance_leave_it_open():
    plan = tuning.planned(IMPORTANCE, 1, 3, seed=0)
    assert tuning.metrics(plan, IMPORTANCE, tuned(plan, [0.1, 0.1, 0.1], noise=0.1))["mean_verdict"] == "open"


def test_one_seed_has_no_interval_and_no_verdict():
    plan = tuning.planned(IMPORTANCE, 1, 3, seed=0)
    found = tuning.metrics(plan, IMPORTANCE, tuned(plan, seeds=1))
    assert "mean_top_minus_random_gain_low" not in found
    assert found["mean_verdict"] == "open"

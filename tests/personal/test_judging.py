"""The judge and the measures, on features whose answers are known."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base import rng
from difflab.datasets import KNOWN
from difflab.personal.judging import (
    Made,
    References,
    SubjectJudge,
    class_sets_named,
    cosines,
    diversity,
    expected_nearest,
    measures,
    memorisation,
    unjudged,
)


def cloud(centre, n, seed, spread=0.3):
    return (np.eye(8)[centre] * 4 + spread * rng.numpy_rng(seed, "cloud").normal(size=(n, 8))).astype(np.float32)


@pytest.fixture
def judge():
    return SubjectJudge({"dog": cloud(0, 9, 1), "cat": cloud(1, 9, 2)}, cloud(2, 40, 3))


def test_the_judge_tells_subjects_from_each_other_and_from_the_class(judge):
    assert judge.shows(cloud(0, 20, 4), "dog").all()
    assert not judge.shows(cloud(1, 20, 5), "dog").any()
    assert not judge.shows(cloud(2, 20, 6), "dog").any()
    assert judge.held_out_accuracy() == 1


def test_a_judge_of_what_cannot_be_told_apart_says_so():
    alike = rng.numpy_rng(0, "alike").normal(size=(60, 8)).astype(np.float32)
    judge = SubjectJudge({"dog": alike[:20], "cat": alike[20:40]}, alike[40:])
    assert judge.held_out_accuracy() < 0.7


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6), st.data())
def test_the_expected_nearest_is_the_mean_over_all_draws(row, data):
    among = data.draw(st.integers(1, len(row)))
    expected = np.mean([max(drawn) for drawn in combinations(row, among)])
    assert expected_nearest(np.array([row]), among)[0] == pytest.approx(expected, abs=1e-12)


def test_copies_are_memorised_and_fresh_pictures_are_not():
    pool = cloud(0, 480, 7)
    copied = memorisation(pool[:9], pool[:9], pool[9:12])
    fresh = [memorisation(pool[240:], *np.split(pool[s : s + 12], [9])) for s in range(0, 240, 12)]
    assert copied > 0.005
    assert abs(np.mean(fresh)) < 0.2 * copied


def test_the_measure_of_memory_does_not_depend_on_how_many_pictures_there_are():
    made = cloud(0, 40, 8)
    same = cloud(0, 6, 9)
    assert memorisation(made, np.concatenate([same, same]), same[:6]) == pytest.approx(
        np.mean(expected_nearest(cosines(made, np.concatenate([same, same])), 6) - cosines(made, same).max(1))
    )


def test_diversity_is_within_a_prompt():
    same = np.eye(8, dtype=np.float32)[[0, 0, 1, 1]]
    assert diversity(same, ["a", "a", "b", "b"]) == pytest.approx(0)
    assert diversity(same, ["a", "b", "a", "b"]) == pytest.approx(1)


def test_the_measures_of_a_model_that_shows_the_subject_everywhere(judge):
    made = Made(cloud(0, 12, 10), ["p"] * 12, {})
    against = References("dog", cloud(0, 6, 11), cloud(0, 3, 12), cloud(2, 40, 13))
    found = measures(judge, made, Made(cloud(0, 12, 14), ["q"] * 12, {}), against, ())
    assert found["subject_accuracy"] == 1
    assert found["class_correct"] == 0
    assert found["drift_kid"] > 1
    assert found["similarity"] > 0.9
    assert "prompt_accuracy" not in found
    kept = measures(judge, made, Made(cloud(2, 12, 15), ["q"] * 12, {}), against, ())
    assert kept["class_correct"] == 1
    assert abs(kept["drift_kid"]) < 0.1 * found["drift_kid"]


def test_prompts_ask_for_what_a_data_set_can_name_in_its_own_words():
    of_miniature = [f"{photo} behind the digit" for photo in ("a temple", "a motorcycle")]
    assert [s.name for s in class_sets_named(of_miniature, KNOWN)] == ["photo"]
    assert [s.name for s in class_sets_named(["a three over coffee"], KNOWN)] == ["digit", "photo"]
    assert class_sets_named(["a cat in the snow", "a cat on the beach"], KNOWN) == ()


def test_what_means_nothing_is_left_out():
    of_subject = {"subject_accuracy", "similarity", "class_correct", "memorisation"}
    assert unjudged(0.95, class_known=True) == ()
    assert set(unjudged(0.53, class_known=True)) == set(unjudged(float("nan"), class_known=True)) == of_subject
    assert set(unjudged(0.95, class_known=False)) == {"drift_kid", "class_correct"}

"""Captioners by number of originals and seed: their names, and what each is trained on."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.captioning.training.trainings import Training, parse, training_rows, trainings
from difflab.core.base.errors import DifflabError
from difflab.core.params.loading import check_params, read_values
from fakes import tiny_captioner as tiny

ORIGINALS = [f"r{n:02d}" for n in range(20)]
MADE = [f"{id}-v{number}" for id in ORIGINALS for number in range(3)]
ROWS = pd.DataFrame({"id": [*ORIGINALS, *MADE], "source": ["original"] * 20 + ["synthetic"] * 60})
SEEDS = st.integers(0, 1000)


def ids(data, originals, seed=0) -> set[str]:
    return set(training_rows(ROWS, data, originals, seed)["id"])


@given(st.none() | st.integers(1, 10_000), SEEDS)
def test_a_name_is_read_back(originals, seed):
    assert parse(Training(originals, seed).name) == Training(originals, seed)


def test_the_names():
    assert [Training(None, 3).name, Training(25, 0).name] == ["seed-3", "originals-25-seed-0"]


def test_all_originals_come_first():
    settings = tiny.params(originals=[50, None, 25], seeds=[1, 0, 2], subset_seeds=[3, 1])
    whole = [Training(None, seed) for seed in (0, 1, 2)]
    assert trainings(settings, "synthetic") == whole
    assert trainings(settings, "mixed") == whole + [Training(size, seed) for size in (25, 50) for seed in (1, 3)]


@given(st.integers(1, 19), SEEDS)
def test_synthetic_pictures_are_those_of_the_drawn_originals(originals, seed):
    drawn = ids("original", originals, seed)
    assert len(drawn) == originals
    assert drawn <= set(ORIGINALS)
    made = {f"{id}-v{number}" for id in drawn for number in range(3)}
    assert ids("synthetic", originals, seed) == made
    assert ids("mixed", originals, seed) == drawn | made


@given(st.integers(1, 18), SEEDS)
def test_fewer_originals_are_among_the_more(originals, seed):
    assert ids("mixed", originals, seed) < ids("mixed", originals + 1, seed)


def test_each_seed_draws_others():
    assert len({frozenset(ids("original", 5, seed)) for seed in range(20)}) == 20


def test_null_is_all():
    assert ids("mixed", None) == {*ORIGINALS, *MADE}


@pytest.mark.parametrize("originals", [20, 500])
def test_as_many_originals_as_there_are_or_more_are_refused(originals):
    with pytest.raises(DifflabError, match=rf"lists {originals}, but data/mixed has 20 to train on: list fewer; null"):
        training_rows(ROWS, "original", originals, 0)


@pytest.mark.parametrize(
    ("originals", "said"),
    [
        ([25, 50], "must list null"),
        ([0, None], "greater than 0"),
        ([25, None, 25], "25 is listed twice"),
        ([], "at least 1"),
    ],
)
def test_sizes_are_positive_distinct_and_hold_all(root, originals, said):
    values = read_values(root / "params.yaml")
    values["captioner"]["originals"] = originals
    with pytest.raises(DifflabError, match=said) as error:
        check_params(values, "params.yaml")
    assert "\n" not in str(error.value)

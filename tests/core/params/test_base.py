"""Types that groups share: what they refuse, a later stage would stumble over."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from difflab.core.params.base import Group, Seeds


class Numbers(Group):
    seeds: Seeds | None = None
    sizes: list[int] | None = None
    nested: dict[str, list[float]] | None = None
    either: list[int] | bool = False


@pytest.mark.parametrize("seeds", [[0], [3, 1, 2], [2**63 - 1]])
def test_seeds_keep_their_order(seeds):
    assert Numbers(seeds=seeds).seeds == seeds


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ([], "at least 1 item"),
        ([1, 2, 1], "1 is listed twice"),
        ([0, -1], "greater than or equal to 0"),
        ([2**63], "less than 9223372036854775808"),
        ([0.5], "valid integer"),
        ([0, True], "a number is needed"),
        (0, "valid list"),
    ],
)
def test_seeds_that_no_generator_takes_or_that_repeat_are_refused(seeds, message):
    with pytest.raises(ValidationError, match=message):
        Numbers(seeds=seeds)


class Kinds(Group):
    steps: int = 1
    rate: float = 1.0
    choice: Literal[1, 2] | None = None
    flag: bool = True
    auto: Literal["auto"] | int = "auto"
    text: str = ""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": "3"}, "a number is needed"),
        ({"rate": "1e-3"}, "a number is needed"),
        ({"rate": False}, "a number is needed"),
        ({"choice": True}, "a number is needed"),
        ({"flag": 1}, "true or false is needed"),
        ({"flag": "yes"}, "true or false is needed"),
        ({"steps": 2**64}, "less than 9223372036854775808"),
        ({"steps": -(2**64)}, "less than 9223372036854775808"),
        ({"rate": 1e39}, "the most that float32 holds"),
        ({"rate": float("nan")}, "finite number"),
        ({"rate": float("inf")}, "finite number"),
        ({"text": " \t"}, "more than spaces"),
    ],
)
def test_one_kind_of_value_does_not_stand_for_another_nor_is_it_beyond_tensors(values, message):
    with pytest.raises(ValidationError, match=message):
        Kinds(**values)


@given(st.integers(-(2**63), 2**63 - 1), st.floats(-3e38, 3e38), st.booleans(), st.sampled_from(["auto", 3]))
def test_values_of_their_own_kind_are_kept(steps, rate, flag, auto):
    kept = Kinds(steps=steps, rate=rate, flag=flag, auto=auto)
    assert (kept.steps, kept.rate, kept.flag, kept.auto) == (steps, rate, flag, auto)


def test_true_is_no_number_at_any_depth():
    for values in ({"sizes": [1, True]}, {"nested": {"a": [False]}}):
        with pytest.raises(ValidationError, match="a number is needed"):
            Numbers(**values)
    assert Numbers(either=True).either is True

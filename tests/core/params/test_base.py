"""Types that groups share: what they refuse, a later stage would stumble over."""

import pytest
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


def test_true_is_no_number_at_any_depth():
    for values in ({"sizes": [1, True]}, {"nested": {"a": [False]}}):
        with pytest.raises(ValidationError, match="a number is needed"):
            Numbers(**values)
    assert Numbers(either=True).either is True

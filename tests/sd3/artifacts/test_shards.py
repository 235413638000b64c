"""Rows of several files are those of one, and files that do not belong together are refused by number."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base.errors import DifflabError
from difflab.sd3.artifacts.shards import check, check_rows, take

LENGTHS = st.lists(st.integers(1, 5), min_size=1, max_size=5)


def numbered(lengths):
    """Shards in which every row holds its number, and the whole of them."""
    whole = {"a": torch.arange(sum(lengths)).float()[:, None], "b": torch.arange(sum(lengths))[:, None, None]}
    parts = {name: tensor.split(lengths) for name, tensor in whole.items()}
    return [{name: parts[name][n] for name in parts} for n in range(len(lengths))], whole


@given(LENGTHS, st.data())
def test_rows_of_many_shards_are_those_of_one(lengths, data):
    shards, whole = numbered(lengths)
    rows = torch.tensor(data.draw(st.lists(st.integers(0, sum(lengths) - 1), max_size=8)), dtype=torch.int64)
    for name, tensor in take(shards, rows).items():
        assert torch.equal(tensor, whole[name][rows])
        assert tensor.dtype == whole[name].dtype


def test_whole_shards_pass():
    check(numbered([2, 3])[0], {"a", "b"}, "data/latents", "make it")


@pytest.mark.parametrize(
    ("second", "what"),
    [
        ({"a": torch.zeros(2, 1)}, "shard 1 has a in place of a, b"),
        ({}, "shard 1 has nothing in place of a, b"),
        (
            {"a": torch.zeros(2, 2), "b": torch.zeros(2, 1, 1).long()},
            "shard 1 has tensors of other shapes or precision",
        ),
        (
            {"a": torch.zeros(2, 1).half(), "b": torch.zeros(2, 1, 1).long()},
            "of other shapes or precision than the first",
        ),
        ({"a": torch.zeros(2, 1), "b": torch.zeros(3, 1, 1).long()}, "shard 1 has tensors of several lengths"),
    ],
)
def test_a_shard_that_differs_is_named(second, what):
    (first,), _ = numbered([2])
    with pytest.raises(DifflabError) as caught:
        check([first, second], {"a", "b"}, "data/latents", "make it")
    assert str(caught.value).startswith("data/latents: shard ")
    assert what in str(caught.value)
    assert str(caught.value).endswith(": make it")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_row_that_is_not_finite_names_its_sample(value):
    rows = {"a": torch.zeros(3, 2), "b": torch.zeros(3, 2).long()}
    check_rows(rows, ["x", "y", "z"], "data/latents", "make it")
    rows["a"][1, 0] = value
    with pytest.raises(DifflabError, match=r"data/latents: a.*\by\b.*: make it$"):
        check_rows(rows, ["x", "y", "z"], "data/latents", "make it")

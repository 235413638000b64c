"""The endless stream of samples: any cut of it gives the same samples and the same draws."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base import rng
from difflab.training.data_order import SampleStream, visits


def stream(n=7, seed=3, weights=None):
    return SampleStream(rng.id_keys([f"hq-{i:05d}" for i in range(n)]), seed, weights)


@given(st.integers(1, 9), st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(0, 40))
def test_how_the_stream_is_cut_does_not_matter(n, cuts, start):
    index, keys = stream(n).take(start, sum(cuts))
    other, position = stream(n), start
    for cut in cuts:
        i, k = other.take(position, cut)
        assert torch.equal(i, index[position - start : position - start + cut])
        assert torch.equal(k, keys[position - start : position - start + cut])
        position += cut


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_a_batch_and_change_nothing(processes):
    whole, whole_keys = stream().take(8, 8)
    index, keys = torch.empty_like(whole), torch.empty_like(whole_keys)
    for rank in range(processes):
        i, k = stream().take(8, 8)
        index[rank::processes], keys[rank::processes] = i[rank::processes], k[rank::processes]
    assert torch.equal(index, whole)
    assert torch.equal(keys, whole_keys)


def test_an_epoch_holds_every_sample_once_and_epochs_differ():
    first, first_keys = stream().take(0, 7)
    second, second_keys = stream().take(7, 7)
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(7))
    assert first.tolist() != second.tolist()
    assert not set(first_keys.tolist()) & set(second_keys.tolist())


def test_a_draw_belongs_to_the_id_and_not_to_its_place():
    ids = [f"hq-{i:05d}" for i in range(7)]
    by_id = {}
    for order in (ids, ids[::-1]):
        index, keys = SampleStream(rng.id_keys(order), 3).take(0, 7)
        drawn = {order[i]: k for i, k in zip(index.tolist(), keys.tolist(), strict=True)}
        assert by_id.setdefault("draws", drawn) == drawn


def test_another_seed_is_another_order():
    assert stream(50, seed=1).take(0, 50)[0].tolist() != stream(50, seed=2).take(0, 50)[0].tolist()


def test_weights_are_the_shares_of_the_draws():
    weights = torch.tensor([1.0, 0.0, 3.0, 4.0])
    index, _ = stream(4, weights=weights).take(0, 20_000)
    shares = torch.bincount(index, minlength=4) / 20_000
    torch.testing.assert_close(shares, weights / 8, atol=0.015, rtol=0)


def test_a_sample_drawn_twice_in_an_epoch_gets_two_keys():
    index, keys = stream(4, weights=torch.tensor([1.0, 1.0, 1.0, 50.0])).take(0, 400)
    assert index.bincount()[3] > 300
    assert keys.unique().numel() == 400


def test_visits_count_earlier_occurrences():
    assert visits(torch.tensor([7, 3, 7, 7, 3])).tolist() == [0, 0, 1, 2, 1]

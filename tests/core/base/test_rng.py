"""Draws depend on their key alone, and look like the distribution they claim."""

import hashlib

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from difflab.core.base import rng

names = st.text(min_size=1, max_size=12)


def splitmix64(state: int, count: int) -> list[int]:
    """The published generator (Steele, Lea and Flood 2014) in plain integers."""
    mask, result = (1 << 64) - 1, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        result.append(z ^ (z >> 31))
    return result


def test_key_is_the_first_63_bits_of_blake2b():
    digest = hashlib.blake2b(b"7\x1fnoise\x1fhq-00012\x1f3", digest_size=8).digest()
    assert rng.key(7, "noise", "hq-00012", 3) == int.from_bytes(digest, "little") >> 1


@given(seed=st.integers(0, 2**31), purpose=names, parts=st.lists(names, min_size=1, max_size=3))
def test_every_part_of_a_key_matters(seed, purpose, parts):
    base = rng.key(seed, purpose, *parts)
    assert 0 <= base < 2**63
    assert base != rng.key(seed + 1, purpose, *parts)
    assert base != rng.key(seed, purpose + "x", *parts)
    assert base != rng.key(seed, purpose, *parts, "0")


def test_parts_do_not_run_together():
    assert rng.key(0, "a", "bc") != rng.key(0, "ab", "c")


def test_golden_draws_stay_the_same_on_every_machine():
    keys = rng.id_keys(["hq-00000", "hq-00001"])
    expected = [splitmix64(int(k), 3) for k in keys]
    uniform = [[((bits >> 41) + 0.5) / 2**23 for bits in row] for row in expected]
    assert rng.uniform(keys, (3,)).tolist() == uniform


def test_uniform_never_reaches_its_ends(monkeypatch):
    for bits in (0, -1):  # all zeros, all ones
        monkeypatch.setattr(rng, "_stream", lambda keys, size, bits=bits: torch.full((len(keys), size), bits))
        assert 0 < rng.uniform(torch.zeros(1, dtype=torch.int64)).item() < 1


def test_normal_is_box_muller_of_the_same_stream():
    keys = rng.id_keys(["celeba-000123"])
    bits = np.array(splitmix64(int(keys[0]), 2), dtype=np.uint64)
    radius = np.sqrt(-2 * np.log(((bits >> np.uint64(40)).astype(np.float64) + 0.5) / 2**24))
    angle = ((bits >> np.uint64(8)) & np.uint64(0xFFFFFF)).astype(np.float64) * 2 * np.pi / 2**24
    expected = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    np.testing.assert_allclose(rng.normal(keys, (2, 2))[0].flatten().numpy(), expected, atol=1e-5)


@given(st.lists(st.integers(0, 99_999), min_size=1, max_size=20, unique=True), st.randoms())
def test_a_row_depends_on_its_own_id_only(numbers, random):
    """Batch size and order are free: the draw of an id is the same wherever it stands."""
    ids = [f"hq-{n:05d}" for n in numbers]
    alone = {i: rng.normal(rng.fold(rng.id_keys([i]), 5), (3,))[0] for i in ids}
    random.shuffle(ids)
    for row, i in zip(rng.normal(rng.fold(rng.id_keys(ids), 5), (3,)), ids, strict=True):
        assert torch.equal(row, alone[i])


def test_fold_mixes_each_number_and_their_order():
    keys = rng.id_keys([f"hq-{n:05d}" for n in range(1000)])
    variants = [keys, rng.fold(keys, 0), rng.fold(keys, 1), rng.fold(keys, 0, 1), rng.fold(keys, 1, 0)]
    assert torch.cat(variants).unique().numel() == 5 * 1000


def test_fold_takes_one_number_per_row_too():
    keys = rng.id_keys(["hq-00000", "hq-00001"])
    both = rng.fold(keys, torch.tensor([3, 4]))
    assert both.tolist() == [int(rng.fold(keys[:1], 3)), int(rng.fold(keys[1:], 4))]


def test_uniform_is_uniform_and_normal_is_normal():
    keys = rng.fold(rng.id_keys([f"hq-{n:05d}" for n in range(2000)]), rng.key(0, "test"))
    uniform, normal = rng.uniform(keys, (10,)).flatten(), rng.normal(keys, (10,)).flatten()
    assert stats.kstest(uniform.numpy(), "uniform").pvalue > 1e-3
    assert stats.kstest(normal.numpy(), "norm").pvalue > 1e-3


def test_neighbouring_ids_and_elements_are_uncorrelated():
    normal = rng.normal(rng.id_keys([f"hq-{n:05d}" for n in range(4000)]), (8,)).double()
    bound = 5 / np.sqrt(4000)
    assert abs(torch.corrcoef(torch.stack([normal[:-1, 0], normal[1:, 0]]))[0, 1]) < bound
    off_diagonal = torch.corrcoef(normal.T) - torch.eye(8, dtype=torch.float64)
    assert off_diagonal.abs().max() < bound


def test_generators_repeat_and_differ_by_purpose():
    assert rng.numpy_rng(0, "a").random() == rng.numpy_rng(0, "a").random() != rng.numpy_rng(0, "b").random()
    draw = [torch.randn(2, generator=rng.torch_generator(0, p)) for p in ("a", "a", "b")]
    assert torch.equal(draw[0], draw[1])
    assert not torch.equal(draw[0], draw[2])

"""Affinities: rows that sum to 1, cosines, several pictures, memory."""

import numpy as np
import pytest
import torch
from hypothesis import given as example
from hypothesis import strategies as st

from difflab.attention.affinity import AFFINITIES, affinities, check_fits, check_gathered, tokens
from difflab.attention.capture import Attended, Layer
from difflab.attention.records import Records
from difflab.core.base.errors import DifflabError


def records(count=7, steps=2, blocks=2, batch=2, heads=3, width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    made = Records([Layer(f"blocks.{n}.attn", n, "joint") for n in range(blocks)])
    for step in range(steps):
        for layer in made.layers:
            parts = [torch.randn(batch, heads, count, width, generator=generator) for _ in range(4)]
            made.add(step, layer.name, Attended(*parts))
    return made


@example(st.integers(1, 3), st.integers(2, 9), st.integers(0, 5))
def test_rows_of_attention_sum_to_one_over_the_tokens_of_all_pictures(pictures, count, seed):
    found = affinities(tokens([(records(count, seed=seed), n % 2) for n in range(pictures)]), "attention")
    assert found.shape == (pictures * count,) * 2
    assert float(found.min()) >= 0
    torch.testing.assert_close(found.sum(1), torch.ones(pictures * count))


@pytest.mark.parametrize("kind", AFFINITIES)
def test_affinities_are_means_over_heads_blocks_and_steps_of_numpy_s_formula(kind):
    made, heads = records(), (0, 2)
    expected = []
    for step in (0, 1):
        for head in heads:
            parts = [part[1, head].double().numpy() for part in made.get(step, made.layers[1])]
            if kind == "attention":
                scores = np.exp(parts[0] @ parts[1].T / 2)
                expected.append(scores / scores.sum(1, keepdims=True))
            else:
                part = dict(zip(("query", "key", "value", "output"), parts, strict=True))[kind]
                unit = part / np.linalg.norm(part, axis=1, keepdims=True)
                expected.append(unit @ unit.T)
    found = affinities(tokens([(made, 1)], blocks=[1], heads=heads), kind)
    np.testing.assert_allclose(found, np.mean(expected, axis=0), atol=1e-6)


@pytest.mark.parametrize("kind", AFFINITIES)
def test_some_rows_are_those_of_all_and_nothing_that_is_given_changes(kind):
    made = records()
    both = tokens([(made, 0), (made, 1)])
    before = [part.clone() for part in (both.query, both.key, both.value, both.output)]
    torch.testing.assert_close(affinities(both, kind, [3, 9]), affinities(both, kind)[[3, 9]])
    assert all(map(torch.equal, before, (both.query, both.key, both.value, both.output)))


def test_pictures_next_to_each_other_share_their_attention():
    made = records(5)
    within, across = (
        affinities(tokens([(made, 0)]), "attention"),
        affinities(tokens([(made, 0), (made, 1)]), "attention"),
    )
    assert float(across[:5, :5].sum()) < float(within.sum())
    own = affinities(tokens([(made, 0)]), "value")
    torch.testing.assert_close(affinities(tokens([(made, 0), (made, 1)]), "value")[:5, :5], own)


def test_what_does_not_exist_is_refused():
    made = records()
    for options, line in (
        ({"heads": [3]}, "head 3 does not exist: a layer has heads 0 to 2"),
        ({"blocks": [2]}, "block 2 was not captured: there are 0, 1"),
        ({"steps": [2]}, "step 2 was not captured: there are 0, 1"),
    ):
        with pytest.raises(DifflabError, match=line):
            tokens([(made, 0)], **options)
    with pytest.raises(DifflabError, match="picture 2 does not exist"):
        tokens([(made, 2)])
    with pytest.raises(DifflabError, match="4 pictures: affinities are taken within one and across up to 3"):
        tokens([(made, 0)] * 4)
    with pytest.raises(DifflabError, match="different steps or blocks"):
        tokens([(made, 0), (records(steps=1), 0)])
    with pytest.raises(DifflabError, match="token 7 does not exist: this choice of pictures has tokens 0 to 6"):
        affinities(tokens([(made, 0)]), "attention", [7])


def test_more_tokens_than_fit_are_refused_with_the_number_that_would():
    check_fits(1, 13_287, free=10**6)
    with pytest.raises(DifflabError, match=r"13,287 with 13,287 tokens need 2.1 GB, 1 GB are free: 9,128 tokens"):
        check_fits(13_287, 13_287, free=10**9)
    most = 9_128
    check_fits(most, most, free=10**9)
    with pytest.raises(DifflabError):
        check_fits(most + 1, most + 1, free=10**9)


def test_more_layers_and_steps_than_fit_in_memory_are_refused_with_what_would():
    check_gathered([100, 100], 5, free=1000)
    with pytest.raises(DifflabError, match=r"2 pictures in 6 layers and steps .* free: 5 layers and steps would fit"):
        check_gathered([100, 100], 6, free=1000)


def test_tokens_that_do_not_fit_are_refused_before_they_are_gathered(monkeypatch):
    one = records(heads=3)
    size = 4 * sum(part[0].numel() for part in one.chosen()[0])
    monkeypatch.setattr("difflab.attention.affinity.free_memory", lambda: 2 * size)
    assert tokens([(one, 0)], steps=[0]).count == 7
    with pytest.raises(DifflabError, match=r"1 pictures in 4 layers and steps .* 2 layers and steps would fit"):
        tokens([(one, 0)])
    assert tokens([(one, 0)], heads=[1]).count == 7

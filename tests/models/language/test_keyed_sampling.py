"""Sampling through Gumbel noise draws from the right distribution and does not see the batch."""

import pytest
import torch

from difflab.core.base import rng
from difflab.models.language.keyed_sampling import KeyedSampling, generation_arguments
from difflab.models.params import GenerationParams

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0])


def draw(keys, temperature=1.0, top_p=1.0):
    scores = LOGITS.expand(len(keys), -1)
    return KeyedSampling(keys, temperature, top_p)(torch.zeros(len(keys), 1, dtype=torch.int64), scores).argmax(1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_choice_is_distributed_as_the_softmax(temperature):
    n = 20_000
    counts = torch.bincount(draw(rng.fold(torch.arange(n), 7), temperature), minlength=4)
    expected = torch.softmax(LOGITS / temperature, 0)
    deviation = (counts / n - expected).abs() / (expected * (1 - expected) / n).sqrt()
    assert deviation.max() < 4  # standard errors


def test_top_p_keeps_the_most_likely_tokens_only():
    drawn = draw(rng.fold(torch.arange(2000), 7), top_p=0.8)  # softmax: .644 .237 .087 .032
    assert set(drawn.tolist()) == {0, 1}


def test_a_row_depends_on_its_key_and_the_number_of_the_token():
    keys = rng.fold(torch.arange(8), 3)
    scores, ids = LOGITS.expand(8, -1), torch.zeros(8, 1, dtype=torch.int64)
    batch = KeyedSampling(keys, 1.0, 1.0)
    first, second = batch(ids, scores), batch(ids, scores)
    alone = KeyedSampling(keys[5:6], 1.0, 1.0)
    assert torch.equal(alone(ids[:1], scores[:1])[0], first[5])
    assert torch.equal(alone(ids[:1], scores[:1])[0], second[5])
    assert not torch.equal(first, second)


def test_greedy_overrules_what_the_model_asks_for():
    settings = GenerationParams(batch_size=1, max_new_tokens=7, do_sample=False, temperature=0.5, top_p=0.5)
    arguments = generation_arguments(["a"], 0, settings)
    assert arguments["do_sample"] is False
    assert arguments["max_new_tokens"] == 7
    assert "logits_processor" not in arguments
    assert arguments["temperature"] is None


def test_the_noise_of_a_key_is_fixed():
    """Golden values, which integer arithmetic gives on every device before two logarithms."""
    keys = rng.fold(torch.arange(2), 5)
    noise = KeyedSampling(keys, 1.0, 1.0)(torch.zeros(2, 1, dtype=torch.int64), torch.zeros(2, 2))
    torch.testing.assert_close(noise, torch.tensor([[1.5988395, 0.7228724], [-0.2974198, -0.8224249]]))


@pytest.mark.parametrize("top_p", [0.9, 1.0])
def test_the_noise_is_drawn_on_the_device_of_the_scores(top_p, monkeypatch):
    """A vocabulary of 262,144 tokens takes seconds on a processor; only the keys, 8 bytes a row, go to the GPU."""
    sampling, drawn = KeyedSampling(rng.fold(torch.arange(4), 5), 0.6, top_p), []

    def uniform(keys, shape):
        drawn.append(keys.device.type)
        return torch.empty(len(keys), *shape, device=keys.device)

    monkeypatch.setattr(rng, "uniform", uniform)
    scores, ids = torch.empty(4, 262_144, device="meta"), torch.empty(4, 1, dtype=torch.int64, device="meta")
    for _ in range(2):
        assert sampling(ids, scores).device.type == "meta"
    assert drawn == ["meta", "meta"]

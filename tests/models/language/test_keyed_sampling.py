"""Sampling through Gumbel noise draws from the right distribution and does not see the batch."""

import pytest
import torch
from transformers import GenerationConfig

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.models.language.keyed_sampling import KeyedSampling, generate
from fakes import tiny_captioner

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


SETTINGS = [
    {"repetition_penalty": 1.9}, {"no_repeat_ngram_size": 1}, {"temperature": 0.3, "do_sample": True}, {"num_beams": 3},
    {"top_k": 2, "do_sample": True}, {"suppress_tokens": [3, 4, 5, 6, 7, 8]}, {"begin_suppress_tokens": [3, 4, 5]},
    {"forced_bos_token_id": 9}, {"forced_eos_token_id": 1}, {"max_length": 3}, {"min_new_tokens": 6},
    {"bad_words_ids": [[5], [6]]}, {"length_penalty": 5.0}, {"num_return_sequences": 1, "penalty_alpha": 0.6},
    {"exponential_decay_length_penalty": (1, 9.0)}, {"encoder_repetition_penalty": 2.0}, {"max_time": 0.0},
]  # fmt: skip


@pytest.mark.parametrize("own", SETTINGS, ids=lambda own: next(iter(own)))
@pytest.mark.parametrize("num_beams", [1, 2])
def test_the_studys_settings_overrule_those_of_a_checkpoint(own, num_beams):
    model = tiny_captioner.language_model()
    model.generation_config = GenerationConfig(bos_token_id=0, eos_token_id=[1, 2], pad_token_id=1)
    asked = {"input_ids": torch.tensor([[5, 6, 7, 5, 6]]), "max_new_tokens": 8, "num_beams": num_beams}
    plain = generate(model, **asked)
    model.generation_config = theirs = GenerationConfig(bos_token_id=0, eos_token_id=[1, 2], pad_token_id=1, **own)
    assert torch.equal(generate(model, **asked), plain)
    assert model.generation_config is theirs  # what is saved with it stays


def test_a_checkpoint_says_what_ends_a_text():
    model = tiny_captioner.language_model()
    asked = {"input_ids": torch.tensor([[5, 6, 7]]), "max_new_tokens": 8}
    model.generation_config = GenerationConfig(bos_token_id=0, eos_token_id=1, pad_token_id=1)
    said = generate(model, **asked)[0, 3:].tolist()
    model.generation_config.eos_token_id = [1, said[2]]
    assert generate(model, **asked)[0, 3:].tolist() == said[: said.index(said[2]) + 1]


def test_less_than_one_token_is_refused():
    with pytest.raises(DifflabError, match="at least 1"):
        generate(tiny_captioner.language_model(), input_ids=torch.tensor([[5]]), max_new_tokens=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("num_beams", [1, 3])
def test_scores_that_are_not_finite_become_no_text(value, num_beams):
    model = tiny_captioner.language_model()
    hook = model.lm_head.register_forward_hook(lambda module, given, logits: logits.index_fill(0, rows, value))
    rows = torch.arange(num_beams, 2 * num_beams)
    asked = {"input_ids": torch.tensor([[5, 6], [7, 8]]), "max_new_tokens": 3, "num_beams": num_beams}
    with pytest.raises(DifflabError, match="scores for text number 2 of its batch are not finite"):
        generate(model, **asked)
    hook.remove()
    generate(model, **asked)

"""Prompts of few words: how digits are asked for, and what a network reads of them."""

import pytest
import torch

from difflab.core.base.errors import DifflabError
from difflab.ddpm.networks.prompts import PAD, PromptEncoder, Vocabulary, digit_of, digit_prompts
from fakes.tiny import digit_vocabulary, network, noise


def test_a_digit_has_several_prompts():
    assert digit_prompts(3) == [
        "three", "3", "the digit 3", "the digit three", "a handwritten three", "a three",
    ]  # fmt: skip


def test_every_prompt_names_its_digit():
    for digit in range(10):
        assert {digit_of(prompt) for prompt in digit_prompts(digit)} == {digit}


@pytest.mark.parametrize("prompt", ["a handwritten cat", "13", "threefold", ""])
def test_a_prompt_without_a_digit_is_refused(prompt):
    with pytest.raises(DifflabError, match=f"^the prompt '{prompt}' names no digit: say zero, one, .*nine, or 0"):
        digit_of(prompt)


def test_tokens_are_padded_on_the_right():
    vocabulary = Vocabulary(["a", "three"], length=4)
    assert vocabulary.encode(["a three", "three"]).tolist() == [[1, 2, PAD, PAD], [2, PAD, PAD, PAD]]


def test_the_empty_prompt_is_padding_alone():
    assert digit_vocabulary().encode([""]).tolist() == [[PAD] * 3]


def test_case_and_punctuation_do_not_matter():
    plain, shouted = digit_vocabulary().encode(["the digit three", "The digit: THREE!"])
    assert torch.equal(plain, shouted)


def test_the_vocabulary_reads_every_prompt_it_was_made_of_and_tells_them_apart():
    tokens = digit_vocabulary().encode([prompt for digit in range(10) for prompt in digit_prompts(digit)])
    assert tokens.shape == (60, 3)
    assert len(set(map(tuple, tokens.tolist()))) == 60


def test_an_unknown_word_is_refused_with_the_known_ones():
    vocabulary = Vocabulary.of(["a three", "a two"])
    with pytest.raises(DifflabError) as error:
        vocabulary.encode(["a two", "a purple two"])
    assert str(error.value) == (
        "the prompt 'a purple two' has the unknown word 'purple': the model knows a, three, two"
    )


def test_a_prompt_of_too_many_words_is_refused():
    with pytest.raises(DifflabError, match=r"^the prompt 'a a a three' has 4 words, the model reads 2$"):
        Vocabulary.of(["a three"]).encode(["a a a three"])


def test_the_embedding_knows_the_order_of_words():
    encoder = PromptEncoder(Vocabulary.of(["one two"]), dim=8, seed=0)
    forwards, backwards = encoder(encoder.vocabulary.encode(["one two", "two one"]))
    assert forwards.shape == (2, 8)
    assert not torch.allclose(forwards, backwards.flip(0))


def test_the_embedding_depends_on_the_seed_only():
    def weights(seed):
        return PromptEncoder(digit_vocabulary(), dim=8, seed=seed).words.weight

    torch.manual_seed(5)
    first = weights(0)
    torch.manual_seed(6)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


def test_a_prompted_network_reads_its_prompt():
    model = network("prompted")
    x, timestep = noise(1).expand(2, -1, -1, -1), torch.tensor([300.0, 300.0])
    tokens = digit_vocabulary().encode(["three", "four"])
    with torch.no_grad():
        output = model(x, timestep, tokens)[0]
        expected = model.unet(x, timestep, encoder_hidden_states=model.prompts(tokens)).sample
    assert torch.equal(output, expected)
    assert not torch.allclose(output[0], output[1])

"""What a network is told about an image, and how it is not told."""

import pytest
import torch

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.ddpm.networks.conditions import ClassConditions, DigitPrompts, class_numbers, digit_tokens
from difflab.ddpm.networks.prompts import PAD, digit_prompts
from fakes.tiny import CLASSES, digit_vocabulary, names

DIGITS = torch.tensor([7, 0, 3, 9])


def drawn(conditions, index, dropped=None, prefix="image"):
    index = torch.tensor(index)
    dropped = torch.zeros(len(index), dtype=torch.bool) if dropped is None else torch.tensor(dropped)
    (value,) = conditions.draw(index, rng.id_keys(names(len(index), prefix)), dropped).values()
    return value


def prompts():
    return DigitPrompts(DIGITS, digit_tokens(digit_vocabulary()))


def test_each_row_has_its_class():
    assert drawn(ClassConditions(torch.tensor([2, 0, 1]), 3), [0, 2, 2, 1]).tolist() == [2, 1, 1, 0]


def test_a_dropped_class_is_the_number_after_the_last():
    conditions = ClassConditions(torch.tensor([2, 0, 1]), 3)
    assert drawn(conditions, [0, 1, 2], dropped=[False, True, True]).tolist() == [2, 3, 3]


def test_each_row_has_a_prompt_for_its_digit():
    vocabulary = digit_vocabulary()
    for index, tokens in zip([0, 1, 2, 3], drawn(prompts(), [0, 1, 2, 3]), strict=True):
        known = vocabulary.encode(digit_prompts(DIGITS[index].item()))
        assert (known == tokens).all(1).any()


def test_a_dropped_prompt_is_the_empty_one():
    tokens = drawn(prompts(), [0, 1, 2], dropped=[True, False, True])
    empty = digit_vocabulary().encode([""])[0]
    assert [torch.equal(row, empty) for row in tokens] == [True, False, True]
    assert (tokens[0] == PAD).all()


def test_all_prompts_of_a_digit_are_drawn_alike():
    tokens = drawn(prompts(), [2] * 3_000)
    known = digit_vocabulary().encode(digit_prompts(3))
    shares = [(tokens == prompt).all(1).float().mean().item() for prompt in known]
    assert shares == pytest.approx([1 / 6] * 6, abs=0.03)


def test_a_prompt_depends_on_its_key_only():
    conditions, keys = prompts(), rng.id_keys(names(8))
    index, kept = torch.arange(8) % 4, torch.zeros(8, dtype=torch.bool)
    together = conditions.draw(index, keys, kept)["tokens"]
    alone = [conditions.draw(index[n : n + 1], keys[n : n + 1], kept[:1])["tokens"] for n in range(8)]
    assert torch.equal(torch.cat(alone), together)


def test_digit_tokens_hold_every_prompt_of_every_digit():
    tokens = digit_tokens(digit_vocabulary())
    assert tokens.shape == (10, 6, 3)
    assert torch.equal(tokens[4], digit_vocabulary().encode(digit_prompts(4)))


def test_class_names_are_numbered_in_the_order_of_the_classes():
    assert class_numbers(["owl", "cat", "owl"], CLASSES).tolist() == [2, 0, 2]


def test_an_unknown_class_is_refused_with_the_known_ones():
    with pytest.raises(DifflabError, match=r"^unknown class 'fox': the model knows cat, dog, owl$"):
        class_numbers(["cat", "fox"], CLASSES)

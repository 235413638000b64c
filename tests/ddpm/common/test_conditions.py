"""What a network is told about an image: classes, prompts of few words, and nothing."""

import pytest
import torch

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.numerals import NUMBER_WORDS
from difflab.ddpm.common.conditions import (
    PAD,
    PromptEncoder,
    Vocabulary,
    class_numbers,
    conditions_for,
    digit_of,
)  # fmt: skip
from difflab.ddpm.common.networks import build_network
from difflab.ddpm.common.prompts import digit_prompts
from difflab.ddpm.common.settings import BY_CLASS, SETTINGS
from fakes.tiny import CLASSES, digit_vocabulary, names, network, noise, setting_params

DIGITS = torch.tensor([7, 0, 3, 9])


def drawn(conditions, index, dropped=None, prefix="image"):
    index = torch.tensor(index)
    dropped = torch.zeros(len(index), dtype=torch.bool) if dropped is None else torch.tensor(dropped)
    (value,) = conditions.draw(index, rng.id_keys(names(len(index), prefix)), dropped).values()
    return value


def digits_told():
    return conditions_for(network("prompted"), [NUMBER_WORDS[digit] for digit in DIGITS], [])


def test_each_row_has_its_class():
    assert drawn(conditions_for(network(), ["owl", "cat", "dog"], CLASSES), [0, 2, 2, 1]).tolist() == [2, 1, 1, 0]


def test_a_dropped_class_is_the_number_after_the_last():
    conditions = conditions_for(network(), ["owl", "cat", "dog"], CLASSES)
    assert drawn(conditions, [0, 1, 2], dropped=[False, True, True]).tolist() == [2, 3, 3]


def test_each_row_has_a_prompt_for_its_digit():
    vocabulary = digit_vocabulary()
    for index, tokens in zip([0, 1, 2, 3], drawn(digits_told(), [0, 1, 2, 3]), strict=True):
        known = vocabulary.encode(digit_prompts(DIGITS[index].item()))
        assert (known == tokens).all(1).any()


def test_a_dropped_prompt_is_the_empty_one():
    tokens = drawn(digits_told(), [0, 1, 2], dropped=[True, False, True])
    empty = digit_vocabulary().encode([""])[0]
    assert [torch.equal(row, empty) for row in tokens] == [True, False, True]
    assert (tokens[0] == PAD).all()


def test_all_prompts_of_a_digit_are_drawn_alike():
    tokens = drawn(digits_told(), [2] * 3_000)
    known = digit_vocabulary().encode(digit_prompts(3))
    shares = [(tokens == prompt).all(1).float().mean().item() for prompt in known]
    assert shares == pytest.approx([1 / 6] * 6, abs=0.03)


def test_a_prompt_depends_on_its_key_only():
    conditions, keys = digits_told(), rng.id_keys(names(8))
    index, kept = torch.arange(8) % 4, torch.zeros(8, dtype=torch.bool)
    together = conditions.draw(index, keys, kept)["tokens"]
    alone = [conditions.draw(index[n : n + 1], keys[n : n + 1], kept[:1])["tokens"] for n in range(8)]
    assert torch.equal(torch.cat(alone), together)


def test_class_names_are_numbered_in_the_order_of_the_classes():
    assert class_numbers(["owl", "cat", "owl"], CLASSES).tolist() == [2, 0, 2]


def test_an_unknown_class_is_refused_with_the_known_ones():
    with pytest.raises(DifflabError, match=r"^unknown class 'fox': the model knows cat, dog, owl$"):
        class_numbers(["cat", "fox"], CLASSES)


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


def built(setting, classes=CLASSES):
    known = classes if setting in BY_CLASS else []
    return build_network(setting_params(setting), size=8, channels=1, classes=known, seed=0)


def draw_all(told, count):
    keys = rng.id_keys(names(count))
    return told.draw(torch.arange(count), keys, torch.zeros(count, dtype=torch.bool))


@pytest.mark.parametrize("setting", SETTINGS)
def test_each_network_takes_what_it_is_told(setting):
    labels = ["three", "one"] if setting == "text" else ["owl", "cat"]
    network = built(setting)
    told = conditions_for(network, labels, CLASSES if setting in BY_CLASS else [])
    arguments = {} if told is None else draw_all(told, 2)
    assert list(arguments) == (["class_labels"] if setting in BY_CLASS else ["tokens"] if setting == "text" else [])
    x = noise(2)
    assert network(x, torch.tensor([3.0, 300.0]), **arguments, return_dict=False)[0].shape == x.shape


def test_a_network_by_class_has_one_number_for_no_class():
    assert built("latent").config.num_class_embeds == len(CLASSES) + 1


@pytest.mark.parametrize("classes", [sorted(NUMBER_WORDS), ["eight", "three"], list(NUMBER_WORDS)])
def test_a_digit_is_asked_for_by_its_own_name(classes):
    """Whatever the order of the classes (alphabetical in training), and where some digits are missing."""
    network = built("text", classes)
    tokens = draw_all(conditions_for(network, classes, []), len(classes))["tokens"]
    for name, row in zip(classes, tokens, strict=True):
        known = network.prompts.vocabulary.encode(digit_prompts(NUMBER_WORDS.index(name)))
        assert (known == row).all(1).any()

"""Which tokens a word of a prompt falls into."""

import pytest

from difflab.attention.layout import CLIP, T5, check_length, layout
from difflab.core.base.errors import DifflabError
from difflab.miniature.zoo.tokenizers import clip_tokenizer, t5_tokenizer

PROMPT = "A yellow handwritten four over a photo of a cat."
GRID = (4, 4)


def placed(prompt=PROMPT, clip=14, t5=13, phrases=True):
    tokenizers = {CLIP: (clip_tokenizer(clip, phrases), clip), T5: (t5_tokenizer(t5, phrases), t5)}
    return layout(prompt, GRID, tokenizers)


def texts(found, positions):
    by_place = {token.position: token.text for token in found.tokens}
    return [by_place[position] for position in positions]


def test_patches_come_first_then_the_tokens_of_both_encoders_at_the_length_of_training():
    found = placed()
    assert (found.patches, found.count) == (16, 16 + 14 + 13)
    assert [token.position for token in found.tokens] == list(range(16, 43))


def test_a_word_is_found_in_both_encoders_also_within_a_phrase_that_is_one_token():
    found = placed()
    assert texts(found, found.positions("four")) == ["handwritten four", "handwritten four"]
    assert [t.encoder for t in found.tokens if t.position in found.positions("four")] == [CLIP, T5]
    assert texts(found, found.positions("Yellow", CLIP)) == ["yellow"]


def test_a_word_of_several_tokens_is_all_of_them():
    found = placed("a zebra", phrases=False)
    assert "".join(texts(found, found.positions("zebra", CLIP))) == "zebra"
    assert len(found.positions("zebra", CLIP)) > 1


def test_a_word_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(
        DifflabError, match=r"'dog' is not in the prompt as the model reads it: its tokens are 'A', 'yellow'"
    ):
        placed().positions("dog")
    with pytest.raises(DifflabError, match="is not in the prompt"):
        placed().positions(" ")


def test_a_word_beyond_the_length_of_training_is_not_read():
    found = placed(clip=4, t5=4)
    with pytest.raises(DifflabError, match="'cat' is not in the prompt as the model reads it"):
        found.positions("cat")


@pytest.mark.parametrize("prompt", ["", "  \n"])
def test_an_empty_prompt_is_refused(prompt):
    with pytest.raises(DifflabError, match="the prompt is empty"):
        placed(prompt)


def test_another_length_than_in_training_is_refused():
    check_length(77, 77)
    with pytest.raises(DifflabError, match="prompts of 256 tokens: the model was trained with 77"):
        check_length(256, 77)

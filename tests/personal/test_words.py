"""A prompt names the subject by the token, any member of its class without it, and by one learned token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base.errors import DifflabError
from difflab.personal.words import Words, class_text, instance_text, learned_text

DOG, BARE = Words("sks", "dog"), Words("sks", None)


@pytest.mark.parametrize(
    ("caption", "instance", "of_class", "learned"),
    [
        ("a dog on a beach", "a sks dog on a beach", "a dog on a beach", "a <sks> on a beach"),
        ("a sks dog", "a sks dog", "a dog", "a <sks>"),
        ("Dog and dogs", "sks Dog and dogs", "Dog and dogs", "<sks> and dogs"),
        ("sks on a beach", "sks on a beach", "dog on a beach", "<sks> on a beach"),
        ("hotdog beside a dog", "hotdog beside a sks dog", "hotdog beside a dog", "hotdog beside a <sks>"),
    ],
)
def test_a_caption_gets_the_token_before_its_class_word(caption, instance, of_class, learned):
    assert instance_text(caption, DOG, "a.png") == instance
    assert class_text(instance, DOG) == of_class
    assert learned_text(instance, DOG) == learned


def test_without_a_class_word_the_token_alone_stands_for_the_subject():
    assert instance_text("a photo of sks", BARE, "a.png") == "a photo of sks"
    assert learned_text("a photo of sks", BARE) == "a photo of <sks>"


@pytest.mark.parametrize(("words", "needed"), [(DOG, "'sks' or 'dog'"), (BARE, "'sks'")])
def test_a_caption_that_names_nothing_is_refused(words, needed):
    with pytest.raises(DifflabError, match=f"the caption of a.png, 'a cat', names no subject: write {needed} into it"):
        instance_text("a cat", words, "a.png")


@given(st.lists(st.sampled_from(["a", "dog", "sks", "on", "beach", "hotdog"]), min_size=1).filter(lambda w: "dog" in w))
def test_the_class_prompt_never_holds_the_token(words):
    text = class_text(instance_text(" ".join(words), DOG, "a.png"), DOG)
    assert "sks" not in text.split()
    assert "dog" in text.split()

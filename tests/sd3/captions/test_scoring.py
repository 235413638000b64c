"""Scoring reads the truth off a caption."""

import re

import numpy as np
import pytest

from difflab.images.facts.celeba_facts import FACTS
from difflab.miniature.pictures.blend import PHOTO_NAMES, batch
from difflab.miniature.words.templates import PHOTO_WORDS, detailed_caption, short_caption
from difflab.sd3.captions.scoring import facts_kept, named_digit, named_photo


@pytest.mark.parametrize(
    ("caption", "digit"),
    [
        ("a handwritten three over a photo of coffee", 3),
        ("Three, and once more three", 3),
        ("the number 7 on black", 7),
        ("a handwritten three or an eight", None),
        ("a photo of coffee", None),
        ("someone is often alone", None),
        ("a road sign with 70", None),
    ],
)
def test_the_digit_is_named_only_when_exactly_one_is(caption, digit):
    assert named_digit(caption) == digit


def test_a_photograph_is_named_by_its_words():
    for name, words in PHOTO_WORDS.items():
        assert named_photo(f"A handwritten one over a dim photo of {words}.", PHOTO_NAMES) == name
    assert named_photo("a handwritten one over a plain background", PHOTO_NAMES) is None
    assert named_photo("a photo of a catalogue", PHOTO_NAMES) is None


def test_true_captions_of_rendered_pictures_score_full_marks():
    composites = batch(np.arange(300), seed=0, purpose="test", step=0).composites
    for composite in composites:
        kept, total = facts_kept(detailed_caption(composite.attributes), composite.attributes)
        assert kept == total == sum(composite.attributes.values())
        assert named_digit(short_caption(composite.attributes)) == composite.digit
        assert named_photo(short_caption(composite.attributes), PHOTO_NAMES) == composite.photo
        assert facts_kept(short_caption(composite.attributes), composite.attributes)[0] == 2


def test_a_caption_of_another_picture_scores_less():
    first, second = batch(np.array([0, 1]), seed=0, purpose="test", step=0).composites
    kept, total = facts_kept(detailed_caption(second.attributes), first.attributes)
    assert kept < total


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.attribute)
def test_the_pattern_of_a_fact_finds_its_own_sentence_and_no_other(fact):
    found = [other.attribute for other in FACTS if re.search(fact.pattern, other.sentence.lower())]
    assert found == [fact.attribute]


@pytest.mark.parametrize(
    ("caption", "attribute", "kept"),
    [
        ("a smiling young woman with long dark hair and glasses", "Eyeglasses", True),
        ("a smiling young woman with long dark hair and glasses", "Black_Hair", True),
        ("a woman with no beard", "not No_Beard", False),
        ("a bearded man in a suit and tie", "not No_Beard", True),
        ("a bearded man in a suit and tie", "Wearing_Necktie", True),
        ("a woman in a hat", "Male", False),
        ("her moustache is false", "Mustache", True),
        ("a man of the city", "Wearing_Hat", False),
    ],
)
def test_free_captions_of_faces(caption, attribute, kept):
    (fact,) = [f for f in FACTS if f.attribute == attribute]
    assert bool(re.search(fact.pattern, caption)) == kept

"""The miniature as a data set: its facts, and captions that keep them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.miniature.data.blend import ATTRIBUTES, PHOTO_NAMES, batch
from difflab.miniature.data.templates import detailed_caption, short_caption
from difflab.miniature.data.vocabulary import DIGIT, MINIATURE, PHOTO


def digit(*true: str) -> dict[str, bool]:
    return {name: name in true for name in ATTRIBUTES}


def test_golden_facts_of_a_digit():
    attributes = digit("Digit_7", "Photo_Cat", "Thin", "Slanted_Right", "Blue_Digit", "Grey")
    assert MINIATURE.sentences(attributes) == [
        "The digit is a seven.",
        "The background is a photo of a cat.",
        "The stroke is thin.",
        "The digit is blue.",
        "The digit is slanted right.",
        "The background is grey.",
    ]


def test_each_attribute_of_the_miniature_is_told():
    plain = digit("Digit_1")
    for name in ATTRIBUTES[10:]:
        assert len(set(MINIATURE.sentences({**plain, name: True})) - set(MINIATURE.sentences(plain))) == 1, name


def test_opposites_of_the_miniature_drop_each_other():
    attributes = digit("Digit_2", "Thick", "Thin", "Bright_Background", "Dark_Background")
    assert MINIATURE.contradicted(attributes) == ["thick_and_thin", "bright_background_and_dark_background"]
    assert MINIATURE.sentences(attributes) == ["The digit is a two."]


@given(st.sets(st.sampled_from(ATTRIBUTES[10:])))
def test_facts_of_the_miniature_never_exclude_each_other(true):
    told = " ".join(MINIATURE.sentences(digit("Digit_4", *true)))
    for a, b in (("thick", "thin"), ("slanted left", "slanted right"), ("bright", "dim"), ("warm", "cool")):
        assert not (a in told and b in told)


def test_a_detailed_caption_is_a_function_of_the_sentences():
    """What the miniature's Llama is asked for can be told from its facts: no attribute without a fact."""
    seen: dict[tuple[str, ...], str] = {}
    for name in ATTRIBUTES[22:]:
        attributes = digit("Digit_5", "Photo_Rocket", name)
        assert seen.setdefault(
            tuple(MINIATURE.sentences(attributes)), detailed_caption(attributes)
        ) == detailed_caption(attributes)
    assert len(seen) == len(ATTRIBUTES) - 22


def test_true_captions_of_rendered_pictures_score_full_marks():
    composites = batch(np.arange(300), seed=0, purpose="test", step=0).composites
    for composite in composites:
        kept, total = MINIATURE.facts_kept(detailed_caption(composite.attributes), composite.attributes)
        assert kept == total == sum(composite.attributes.values())
        assert DIGIT.named(short_caption(composite.attributes)) == composite.digit
        assert PHOTO_NAMES[PHOTO.named(short_caption(composite.attributes))] == composite.photo
        assert MINIATURE.facts_kept(short_caption(composite.attributes), composite.attributes)[0] == 2


def test_a_caption_of_another_picture_scores_less():
    first, second = batch(np.array([0, 1]), seed=0, purpose="test", step=0).composites
    kept, total = MINIATURE.facts_kept(detailed_caption(second.attributes), first.attributes)
    assert kept < total


def test_it_tells_every_column_of_its_attribute_table():
    assert sorted(MINIATURE.columns) == sorted(ATTRIBUTES)


def test_class_accuracy_counts_the_captions_that_name_the_class_of_their_picture():
    rows = [digit("Digit_3", "Photo_Cat"), digit("Digit_4", "Photo_Coffee"), digit("Digit_5")]
    attributes = pd.DataFrame(rows, index=["a", "b", "c"])
    captions = {
        "c": "a handwritten five over a photo of a rocket",  # a plain digit: of no photograph
        "a": "a handwritten three over a photo of a cat",
        "b": "a handwritten nine over a photo of coffee",
    }
    shares = MINIATURE.class_accuracy(captions, attributes)
    assert shares == {"digit_accuracy": pytest.approx(2 / 3), "photo_accuracy": 1.0}
    assert MINIATURE.class_accuracy({"c": captions["c"]}, attributes, "kept") == {"digit_kept": 1.0}

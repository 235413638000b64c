"""The miniature's captions say what is true of the picture, and fit the encoders."""

import numpy as np
import pytest

from difflab.core.base.errors import DifflabError
from difflab.miniature.data.blend import ATTRIBUTES, PHOTO_NAMES, batch, plain
from difflab.miniature.data.templates import detailed_caption, short_caption
from difflab.miniature.data.vocabulary import DIGIT, PHOTO, PHOTO_DESCRIPTIONS, PHOTO_WORDS


def row(*true: str) -> dict[str, bool]:
    return {name: name in true for name in ATTRIBUTES}


def test_golden_sentences():
    attributes = row(
        *("Digit_3", "Photo_Coffee", "Large", "Thick", "Inverted", "Red_Digit", "Slanted_Left"),
        *("Bright_Background", "Warm_Background"),
    )
    assert short_caption(attributes) == "a handwritten three over a photo of coffee"
    assert detailed_caption(attributes) == (
        "A large thick dark red handwritten three slanted left over a bright warm photo of coffee."
    )


def test_a_plain_digit_lies_over_a_plain_background():
    attributes = plain(0, np.random.default_rng(0)).attributes
    assert short_caption(attributes).endswith(" over a plain background")
    assert detailed_caption(attributes).endswith(" plain background.")


def test_every_bundled_photograph_has_words_of_its_own():
    for words in (PHOTO_WORDS, PHOTO_DESCRIPTIONS):
        assert tuple(words) == PHOTO_NAMES
        assert len(set(words.values())) == len(words)


def test_captions_of_rendered_pictures_name_their_digit_and_photograph():
    composites = batch(np.arange(100), seed=0, purpose="test", step=0).composites
    for composite in composites:
        assert DIGIT.of(composite.attributes) == composite.digit
        assert PHOTO_NAMES[PHOTO.of(composite.attributes)] == composite.photo


def test_different_attributes_give_different_detailed_captions():
    """Every attribute of the miniature is told: no two distinct rows share a sentence."""
    composites = batch(np.arange(1500), seed=0, purpose="test", step=1).composites
    rows = {frozenset(name for name, value in c.attributes.items() if value) for c in composites}
    sentences = {detailed_caption(c.attributes) for c in composites}
    assert len(sentences) == len(rows)


def test_detailed_captions_stay_short():
    composites = batch(np.arange(1500), seed=0, purpose="test", step=2).composites
    longest = max(len(detailed_caption(c.attributes).replace(".", " .").split()) for c in composites)
    assert longest <= 22


def test_attributes_without_one_digit_are_refused():
    with pytest.raises(DifflabError, match=r"exactly one of Digit_0 \.\. Digit_9"):
        short_caption(row("Photo_Coffee"))
    with pytest.raises(DifflabError, match="only one photo may be true, not Photo_Coffee, Photo_Coins"):
        short_caption(row("Digit_1", "Photo_Coffee", "Photo_Coins"))

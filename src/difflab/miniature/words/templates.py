"""The miniature's sentences: what its BLIP-2 and its Llama learn to say of a digit over a photograph.

Both captions are pure functions of the attributes, so a caption is scored against the picture's own truth.
"""

from typing import TYPE_CHECKING

from difflab.core.base.errors import DifflabError
from difflab.core.base.numerals import NUMBER_WORDS
from difflab.miniature.pictures.blend import PHOTO_NAMES
from difflab.miniature.words.vocabulary import (
    BACKGROUNDS,
    DIGIT,
    PHOTO,
    PHOTO_WORDS,
    SHADES,
    SIZES,
    SLANTS,
    STROKES,
    TINTS,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from difflab.images.facts.data_set import Attributes


def short_caption(attributes: "Attributes") -> str:
    """What the miniature's BLIP-2 says, e.g. "a handwritten three over a photo of coffee"."""
    return f"a handwritten {_number(attributes)} over a {_ground(attributes)}"


def detailed_caption(attributes: "Attributes") -> str:
    """What the miniature's Llama says: one sentence with every fact, at most 22 words and marks.

    For example "A large thick dark red handwritten three slanted left over a bright warm photo of coffee."
    """
    groups = (SIZES, STROKES, SHADES, TINTS)
    adjectives = [word for group in groups for word in _true(attributes, group)]
    subject = ["A", *adjectives, "handwritten", _number(attributes), *_true(attributes, SLANTS)]
    return " ".join([*subject, "over", "a", *_true(attributes, BACKGROUNDS), _ground(attributes)]) + "."


def short_photo_caption(attributes: "Attributes") -> str:
    """Of a photograph without a digit: "a photo of coffee"."""
    return f"a {_ground(attributes)}"


def detailed_photo_caption(attributes: "Attributes") -> str:
    """Of a photograph without a digit: "A bright warm photo of coffee."."""
    return " ".join(["A", *_true(attributes, BACKGROUNDS), _ground(attributes)]) + "."


def _ground(attributes: "Attributes") -> str:
    photo = PHOTO.of(attributes)
    return "plain background" if photo < 0 else f"photo of {PHOTO_WORDS[PHOTO_NAMES[photo]]}"


def _true(attributes: "Attributes", words: "Mapping[str, str]") -> list[str]:
    return [word for name, word in words.items() if attributes.get(name, False)]


def _number(attributes: "Attributes") -> str:
    digit = DIGIT.of(attributes)
    if digit < 0:
        raise DifflabError("exactly one of Digit_0 .. Digit_9 must be true, not 0: check the attribute table")
    return NUMBER_WORDS[digit]

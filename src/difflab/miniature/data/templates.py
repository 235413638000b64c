"""The miniature's sentences: what its BLIP-2 and its Llama learn to say of a digit over a photograph, and what people do.

All are pure functions of the attributes, so a caption is scored against the picture's own truth.
"""

from typing import TYPE_CHECKING

from difflab.core.base.errors import DifflabError
from difflab.core.base.numerals import NUMBER_WORDS
from difflab.miniature.data import vocabulary as words
from difflab.miniature.data.blend import PHOTO_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from difflab.images.facts.data_set import Attributes
    from difflab.miniature.data.blend import Composite

_LEANING = {"Slanted_Left": " leaning left", "Slanted_Right": " leaning right"}
_LIGHTS = {"Bright_Background": "bright", "Dark_Background": "dark", "Colourful": "colourful", "Grey": "grey"}


def short_caption(attributes: "Attributes") -> str:
    """What the miniature's BLIP-2 says, e.g. "a handwritten three over a photo of coffee"."""
    return f"a handwritten {_number(attributes)} over a {_ground(attributes)}"


def detailed_caption(attributes: "Attributes") -> str:
    """What the miniature's Llama says: one sentence with every fact, at most 22 words and marks.

    For example "A large thick dark red handwritten three slanted left over a bright warm photo of coffee."
    """
    groups = (words.SIZES, words.STROKES, words.SHADES, words.TINTS)
    adjectives = [word for group in groups for word in _true(attributes, group)]
    subject = ["A", *adjectives, "handwritten", _number(attributes), *_true(attributes, words.SLANTS)]
    return " ".join([*subject, "over", "a", *_true(attributes, words.BACKGROUNDS), _ground(attributes)]) + "."


def short_photo_caption(attributes: "Attributes") -> str:
    """Of a photograph without a digit: "a photo of coffee"."""
    return f"a {_ground(attributes)}"


def detailed_photo_caption(attributes: "Attributes") -> str:
    """Of a photograph without a digit: "A bright warm photo of coffee."."""
    return " ".join(["A", *_true(attributes, words.BACKGROUNDS), _ground(attributes)]) + "."


def _ground(attributes: "Attributes") -> str:
    photo = words.PHOTO.of(attributes)
    return "plain background" if photo < 0 else f"photo of {words.PHOTO_WORDS[PHOTO_NAMES[photo]]}"


def _true(attributes: "Attributes", group: "Mapping[str, str]") -> list[str]:
    return [word for name, word in group.items() if attributes.get(name, False)]


def _number(attributes: "Attributes") -> str:
    digit = words.DIGIT.of(attributes)
    if digit < 0:
        raise DifflabError("exactly one of Digit_0 .. Digit_9 must be true, not 0: check the attribute table")
    return NUMBER_WORDS[digit]


def sentences(picture: "Composite") -> tuple[str, str, str, str, str]:
    """Five captions of a digit over a photograph, each as a person might put it."""
    true = [name for name, value in picture.attributes.items() if value]
    word, photo = NUMBER_WORDS[picture.digit], words.PHOTO_DESCRIPTIONS[picture.photo]
    colour = next((words.TINTS[name] for name in true if name in words.TINTS), "")
    if picture.attributes["Inverted"]:
        colour = f"dark {colour}" if colour else "black"
    colour = colour or "white"
    shape = "".join(f"{word} " for name, word in (words.SIZES | words.STROKES).items() if name in true)
    slant = "".join(_LEANING[name] for name in true if name in _LEANING)
    ground = "".join(f"{_LIGHTS[name]} " for name in true if name in _LIGHTS)
    article = "an" if word == "eight" else "a"
    return (
        f"A {colour} {word} written over a photo of {photo}.",
        f"The number {word} in front of {photo}.",
        f"A {shape}handwritten {word}{slant} on a {ground}picture of {photo}.",
        f"Somebody has painted {article} {word} in {colour} across a picture of {photo}.",
        f"A {ground}photograph of {photo} with the {shape}digit {picture.digit} in the middle.",
    )

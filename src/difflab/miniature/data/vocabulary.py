"""The words of the miniature: what each of its attributes is called, its facts, and the classes that a text names.

Templates, titles and tokenizers all take their words from here.
"""

from difflab.core.base.negation import undenied
from difflab.core.base.numerals import NUMBER_WORDS, numbers_in, tokens
from difflab.images.facts.data_set import ClassSet, Contradiction, DataSet, Fact, Part, all_of
from difflab.miniature.data.blend import PHOTO_NAMES

SIZES = {"Large": "large", "Small": "small"}
STROKES = {"Thick": "thick", "Thin": "thin"}
SHADES = {"Inverted": "dark"}
TINTS = {"Red_Digit": "red", "Yellow_Digit": "yellow", "Green_Digit": "green", "Blue_Digit": "blue"}
SLANTS = {"Slanted_Left": "slanted left", "Slanted_Right": "slanted right"}
BACKGROUNDS = {
    "Bright_Background": "bright",
    "Dark_Background": "dim",
    "Smooth_Background": "smooth",
    "Colourful": "colourful",
    "Grey": "grey",
    "Warm_Background": "warm",
    "Cool_Background": "cool",
}
_ARTICLES = {"Astronaut": "an "} | dict.fromkeys(("Cat", "Flower", "Motorcycle", "Retina", "Rocket", "Temple"), "a ")
PHOTO_WORDS = {name: _ARTICLES.get(name, "") + name.lower() for name in PHOTO_NAMES}
PHOTO_DESCRIPTIONS = PHOTO_WORDS | {
    "Bricks": "a brick wall",
    "Coffee": "a cup of coffee",
    "Coins": "old coins",
    "Tissue": "tissue under a microscope",
}
"""What a person who is not bound to the names of the photographs calls them."""

_SINGULARS = {"brick": "Bricks", "coin": "Coins", "galaxy": "Galaxies"}
_PLURALS = {f"{name.lower()}s": name for name in _ARTICLES}
_PHOTO_NUMBERS = {
    word: PHOTO_NAMES.index(name)
    for word, name in ({name.lower(): name for name in PHOTO_NAMES} | _SINGULARS | _PLURALS).items()
}


def photos_in(text: str) -> set[int]:
    """The photographs (rows of `PHOTO_NAMES`) that the text names and does not deny, in either number."""
    return {_PHOTO_NUMBERS[token] for token in tokens(undenied(text)) if token in _PHOTO_NUMBERS}


def digits_in(text: str) -> set[int]:
    """The digits that the text names and does not deny: beside the name of a photograph, a number is no name."""
    return numbers_in(undenied(text), _PHOTO_NUMBERS)


DIGIT_MASK = "digit"
DIGIT = ClassSet("digit", tuple(f"Digit_{n}" for n in range(len(NUMBER_WORDS))), digits_in)
PHOTO = ClassSet("photo", tuple(f"Photo_{name}" for name in PHOTO_NAMES), photos_in)


def named(text: str) -> tuple[int, int]:
    """The digit and the photograph (row of `PHOTO_NAMES`) that a text names; -1: none or several."""
    return DIGIT.named(text), PHOTO.named(text)


_TITLE_WORDS = frozenset([*NUMBER_WORDS, *map(str, range(10)), *_PHOTO_NUMBERS]) | {
    "a", "an", "the", "handwritten", "digit", "number", "written", "painted", "topped", "top", "front", "in", "of", "on",
    "over", "under", "beneath", "behind", "across", "with", "and",
}  # fmt: skip
_OPPOSITES = (
    ("Thick", "Thin"),
    ("Slanted_Left", "Slanted_Right"),
    ("Large", "Small"),
    ("Bright_Background", "Dark_Background"),
    ("Colourful", "Grey"),
    ("Warm_Background", "Cool_Background"),
)
_SENTENCES = (
    ("The digit is a {}.", dict(zip(DIGIT.columns, NUMBER_WORDS, strict=True))),
    ("The background is a {}.", {f"Photo_{name}": f"photo of {words}" for name, words in PHOTO_WORDS.items()}),
    ("The digit is {}.", SIZES),
    ("The stroke is {}.", STROKES),
    ("The digit is {}.", SHADES),
    ("The digit is {}.", TINTS),
    ("The digit is {}.", SLANTS),
    ("The background is {}.", BACKGROUNDS),
)

MINIATURE = DataSet(
    name="miniature",
    facts=tuple(
        Fact(attribute, sentence.format(words), rf"(?<![\w-]){words}(?![\w-])")
        for sentence, group in _SENTENCES
        for attribute, words in group.items()
    ),
    contradictions=tuple(Contradiction(f"{a}_and_{b}".lower(), all_of(a, b), (a, b)) for a, b in _OPPOSITES),
    class_sets=(DIGIT, PHOTO),
    parts=(Part("digit", rf"\b(?:{'|'.join(NUMBER_WORDS)})\b", (DIGIT_MASK,)),),
    title_words=_TITLE_WORDS,
)

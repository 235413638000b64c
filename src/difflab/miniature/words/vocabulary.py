"""The words of the miniature: what each of its attributes is called, and the classes that a text names.

Templates, titles, sentences, facts and tokenizers all take their words from here.
"""

from difflab.core.base.numerals import NUMBER_WORDS, numbers_in, tokens
from difflab.images.facts.data_set import ClassSet
from difflab.miniature.pictures.blend import PHOTO_NAMES

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
PHOTO_WORDS = {
    "Astronaut": "an astronaut",
    "Bricks": "bricks",
    "Cat": "a cat",
    "Coffee": "coffee",
    "Coins": "coins",
    "Flower": "a flower",
    "Galaxies": "galaxies",
    "Motorcycle": "a motorcycle",
    "Retina": "a retina",
    "Rocket": "a rocket",
    "Temple": "a temple",
    "Tissue": "tissue",
}
PHOTO_DESCRIPTIONS = PHOTO_WORDS | {
    "Bricks": "a brick wall",
    "Coffee": "a cup of coffee",
    "Coins": "old coins",
    "Tissue": "tissue under a microscope",
}
"""What a person who is not bound to the names of the photographs calls them."""

_SINGULARS = {"brick": "Bricks", "coin": "Coins", "galaxy": "Galaxies"}
_PLURALS = {f"{name.lower()}s": name for name, words in PHOTO_WORDS.items() if " " in words}
_PHOTO_NUMBERS = {
    word: PHOTO_NAMES.index(name)
    for word, name in ({name.lower(): name for name in PHOTO_NAMES} | _SINGULARS | _PLURALS).items()
}


def photos_in(text: str) -> set[int]:
    """The photographs (rows of `PHOTO_NAMES`) that the text names, in either number."""
    return {_PHOTO_NUMBERS[token] for token in tokens(text) if token in _PHOTO_NUMBERS}


DIGIT = ClassSet("digit", tuple(f"Digit_{n}" for n in range(len(NUMBER_WORDS))), numbers_in)
PHOTO = ClassSet("photo", tuple(f"Photo_{name}" for name in PHOTO_NAMES), photos_in)


def named(text: str) -> tuple[int, int]:
    """The digit and the photograph (row of `PHOTO_NAMES`) that a text names; -1: none or several."""
    return DIGIT.named(text), PHOTO.named(text)

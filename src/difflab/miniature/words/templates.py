"""The miniature's sentences: what its BLIP-2 and its Llama learn to say of a digit over a photograph.

Both captions are pure functions of the attributes, so a caption is scored against the picture's own truth.
"""

from collections.abc import Mapping

from difflab.core.base.errors import DifflabError

NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

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

# How a caption names each bundled photograph.
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


def digit_of(attributes: Mapping[str, bool]) -> int:
    """The digit that the attributes name.

    Raises:
        DifflabError: not exactly one of Digit_0 .. Digit_9 is true.
    """
    digits = [d for d in range(10) if attributes.get(f"Digit_{d}", False)]
    if len(digits) != 1:
        raise DifflabError(
            f"exactly one of Digit_0 .. Digit_9 must be true, not {len(digits)}: check the attribute table"
        )
    return digits[0]


def photo_of(attributes: Mapping[str, bool]) -> str | None:
    """The photograph's name without its prefix ("Coffee"), or None for a plain digit."""
    names = [
        name.removeprefix("Photo_")
        for name, value in attributes.items()
        if value and name.startswith("Photo_")
    ]
    if len(names) > 1:
        raise DifflabError(
            f"at most one Photo_ attribute may be true, not {', '.join(names)}: check the attribute table"
        )
    return names[0] if names else None


def photo_words(name: str) -> str:
    """How a caption names a photograph: "Coffee" -> "coffee", "Rocket" -> "a rocket"."""
    return PHOTO_WORDS.get(name, name.replace("_", " ").lower())


def short_caption(attributes: Mapping[str, bool]) -> str:
    """What the miniature's BLIP-2 says, e.g. "a handwritten three over a photo of coffee"."""
    return f"a handwritten {NUMBER_WORDS[digit_of(attributes)]} over a {_ground(attributes)}"


def detailed_caption(attributes: Mapping[str, bool]) -> str:
    """What the miniature's Llama says: one sentence with every fact, at most 22 words and marks.

    For example "A large thick dark red handwritten three slanted left over a bright warm photo of coffee."
    """
    groups = (SIZES, STROKES, SHADES, TINTS)
    adjectives = [word for group in groups for word in _true(attributes, group)]
    subject = [
        "A",
        *adjectives,
        "handwritten",
        NUMBER_WORDS[digit_of(attributes)],
        *_true(attributes, SLANTS),
    ]
    return " ".join([*subject, "over", "a", *_true(attributes, BACKGROUNDS), _ground(attributes)]) + "."


def short_photo_caption(attributes: Mapping[str, bool]) -> str:
    """Of a photograph without a digit: "a photo of coffee"."""
    return f"a {_ground(attributes)}"


def detailed_photo_caption(attributes: Mapping[str, bool]) -> str:
    """Of a photograph without a digit: "A bright warm photo of coffee."."""
    return " ".join(["A", *_true(attributes, BACKGROUNDS), _ground(attributes)]) + "."


def _ground(attributes: Mapping[str, bool]) -> str:
    photo = photo_of(attributes)
    return f"photo of {photo_words(photo)}" if photo else "plain background"


def _true(attributes: Mapping[str, bool], words: Mapping[str, str]) -> list[str]:
    return [word for name, word in words.items() if attributes.get(name, False)]

"""Five sentences about a digit over a photograph, each as a person might put it, all true of the picture."""

from typing import TYPE_CHECKING

from difflab.core.base.numerals import NUMBER_WORDS
from difflab.miniature.words.vocabulary import PHOTO_DESCRIPTIONS, SIZES, STROKES, TINTS

if TYPE_CHECKING:
    from difflab.miniature.pictures.blend import Composite

_SLANTS = {"Slanted_Left": " leaning left", "Slanted_Right": " leaning right"}
_GROUNDS = {"Bright_Background": "bright", "Dark_Background": "dark", "Colourful": "colourful", "Grey": "grey"}


def sentences(picture: "Composite") -> tuple[str, str, str, str, str]:
    """The captions of a picture that shows a digit over a photograph."""
    true = [name for name, value in picture.attributes.items() if value]
    word, photo = NUMBER_WORDS[picture.digit], PHOTO_DESCRIPTIONS[picture.photo]
    colour = next((TINTS[name] for name in true if name in TINTS), "")
    if picture.attributes["Inverted"]:
        colour = f"dark {colour}" if colour else "black"
    colour = colour or "white"
    shape = "".join(f"{word} " for name, word in (SIZES | STROKES).items() if name in true)
    slant = "".join(_SLANTS[name] for name in true if name in _SLANTS)
    ground = "".join(f"{_GROUNDS[name]} " for name in true if name in _GROUNDS)
    article = "an" if word == "eight" else "a"
    return (
        f"A {colour} {word} written over a photo of {photo}.",
        f"The number {word} in front of {photo}.",
        f"A {shape}handwritten {word}{slant} on a {ground}picture of {photo}.",
        f"Somebody has painted {article} {word} in {colour} across a picture of {photo}.",
        f"A {ground}photograph of {photo} with the {shape}digit {picture.digit} in the middle.",
    )

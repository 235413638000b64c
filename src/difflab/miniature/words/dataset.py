"""The miniature as a data set: the facts of a digit over a photograph, and how its classes are judged."""

from difflab.core.base.numerals import NUMBER_WORDS
from difflab.images.facts.data_set import Contradiction, DataSet, Fact, all_of
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
        Fact(attribute, sentence.format(words), rf"\b{words}\b")
        for sentence, group in _SENTENCES
        for attribute, words in group.items()
    ),
    contradictions=tuple(Contradiction(f"{a}_and_{b}".lower(), all_of(a, b), (a, b)) for a, b in _OPPOSITES),
    class_sets=(DIGIT, PHOTO),
)

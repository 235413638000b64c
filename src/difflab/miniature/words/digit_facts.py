"""The facts of the miniature's attributes: a digit over a photograph."""

from collections.abc import Iterable

from difflab.images.facts.fact import Contradiction, Fact, all_of
from difflab.miniature.words.templates import (
    BACKGROUNDS,
    NUMBER_WORDS,
    SHADES,
    SIZES,
    SLANTS,
    STROKES,
    TINTS,
    photo_words,
)

SUBJECTIVE = ()


def facts_of(columns: Iterable[str]) -> tuple[Fact, ...]:
    """The facts of a table with these columns, the digit first; columns without a sentence tell nothing."""
    columns = list(columns)
    sentences = {
        **{f"Digit_{d}": (f"The digit is a {word}.", word) for d, word in enumerate(NUMBER_WORDS)},
        **{
            name: (f"The background is a photo of {words}.", f"photo of {words}")
            for name in columns
            if name.startswith("Photo_") and (words := photo_words(name.removeprefix("Photo_")))
        },
        **{name: (f"The digit is {word}.", word) for name, word in SIZES.items()},
        **{name: (f"The stroke is {word}.", word) for name, word in STROKES.items()},
        **{name: (f"The digit is {word}.", word) for name, word in SHADES.items()},
        **{name: (f"The digit is {word}.", word) for name, word in TINTS.items()},
        **{name: (f"The digit is {words}.", words) for name, words in SLANTS.items()},
        **{name: (f"The background is {word}.", word) for name, word in BACKGROUNDS.items()},
    }
    return tuple(
        Fact(name, sentence, rf"\b{words}\b")
        for name, (sentence, words) in sentences.items()
        if name in columns
    )


def contradictions_of(columns: Iterable[str]) -> tuple[Contradiction, ...]:
    """Opposite attributes: with both true neither is told."""
    columns = set(columns)
    pairs = (
        ("Thick", "Thin"),
        ("Slanted_Left", "Slanted_Right"),
        ("Large", "Small"),
        ("Bright_Background", "Dark_Background"),
        ("Colourful", "Grey"),
        ("Warm_Background", "Cool_Background"),
    )
    return tuple(
        Contradiction(f"{a}_and_{b}".lower(), all_of(a, b), (a, b))
        for a, b in pairs
        if a in columns and b in columns
    )

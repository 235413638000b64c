"""The words of the numbers 0 to 9, and the numbers that a text names."""

import re

NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_NUMBERS = {name: n for n, word in enumerate(NUMBER_WORDS) for name in (word, str(n))}


def tokens(text: str) -> list[str]:
    """Runs of Latin letters and runs of figures, in lower case."""
    return re.findall(r"[a-z]+|\d+", text.lower())


def numbers_in(text: str) -> set[int]:
    """The numbers 0 to 9 that the text names, as words or figures."""
    return {_NUMBERS[token] for token in tokens(text) if token in _NUMBERS}

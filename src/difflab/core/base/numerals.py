"""The words of the numbers 0 to 9, and the numbers that a text names.

A number that is part of a name or of a measure is none: "7-Up", "One-Pot", "B2", "3.5", "3 kg", "Route 6", "Apollo
Eight", "Five Guys". That is one that a hyphen, a sign, a letter, a unit or a mark between figures joins to something, or
one beside a word with a capital letter that does not speak of numbers ("Digit", "Handwritten"). Neither is one that is
part of a larger number ("twenty three", "five hundred") or a pronoun ("no one"). Figures are those of any script.
"""

import re
from collections.abc import Collection, Iterator

NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_NUMBERS = {word: number for number, word in enumerate(NUMBER_WORDS)}
_TOKEN = re.compile(r"[a-z]+|\d+", re.IGNORECASE)
_WORD_BEFORE, _WORD_AFTER = re.compile(r"([A-Z][\w'’]+) $"), re.compile(r" ([A-Z][\w'’]+)")
_HYPHEN_BEFORE, _HYPHEN_AFTER = re.compile(r"(\w+)[-‐‑]$"), re.compile(r"[-‐‑](\w+)")
_MARK = r"[.,:/．，：／٫٬⁄]"  # between the figures of one number, in any script
_JOINED_BEFORE = re.compile(rf"(?:[^\W_]|\d{_MARK}|\d[–—]|(?<![^\s(])[-−+]|[$€£¥₹] ?)$")
_JOINED_AFTER = re.compile(
    rf"[^\W_]|{_MARK}\d|[–—]\d|['’]\w| ?[%°$€£¥₹‰]| (?:[kmcd]?[gml]|mg|k?cal|oz|lbs?|ft|km|min|hours?|percent|degrees)\b"
)
_LARGE = r"(?:hundred|thousand|[mb]illion|dozen|point)"
_LARGER_BEFORE = re.compile(rf"\b(?:(?:twen|thir|for|fif|six|seven|eigh|nine)ty|{_LARGE}(?: and)?) $", re.IGNORECASE)
_LARGER_AFTER = re.compile(rf" (?:{_LARGE}|\d{{3}})\b", re.IGNORECASE)
_PRONOUN_BEFORE = re.compile(r"\b(?:no|any|every|some) $", re.IGNORECASE)
# Words beside a number that make no name of it.
_NO_NAMES = {
    "the", "this", "that", "an", "and", "or", "with", "of", "on", "over", "in", "under", "behind", "across", "number",
    "numbers", "digit", "digits", "numeral", "figure", "handwritten", "written", "painted", "drawn", *NUMBER_WORDS,
}  # fmt: skip


def tokens(text: str) -> list[str]:
    """Runs of Latin letters and runs of figures, in lower case."""
    return [token.lower() for token in _TOKEN.findall(text)]


def numbers_in(text: str, beside: Collection[str] = ()) -> set[int]:
    """The numbers 0 to 9 that the text names, as words or figures, without those in names.

    Further words, in lower case, may stand `beside` a number with a capital letter and make no name of it.
    """
    return set(_named(text, _NO_NAMES.union(beside)))


def _named(text: str, no_names: Collection[str]) -> Iterator[int]:
    titled = any(c.islower() for c in text)  # in capitals alone, they tell nothing
    for found in _TOKEN.finditer(text):
        number = _number(found[0])
        before, end = text[: found.start()], found.end()
        if number is None or _JOINED_BEFORE.search(before) or _JOINED_AFTER.match(text, end):
            continue
        if _LARGER_BEFORE.search(before) or _LARGER_AFTER.match(text, end):
            continue
        if found[0].lower() == "one" and _PRONOUN_BEFORE.search(before):
            continue
        beside = [_HYPHEN_BEFORE.search(before), _HYPHEN_AFTER.match(text, end)]
        if titled and not found[0].islower():  # figures, too
            beside += [_WORD_BEFORE.search(before), _WORD_AFTER.match(text, end)]
        if not any(word and word[1].lower() not in no_names for word in beside):
            yield number


def _number(token: str) -> int | None:
    return int(token) if len(token) == 1 and token.isdecimal() else _NUMBERS.get(token.lower())

"""How much of the truth a caption keeps, read off the caption itself."""

import re
from collections.abc import Collection

from difflab.images.facts.fact import Attributes
from difflab.miniature.words.templates import NUMBER_WORDS, photo_words
from difflab.sd3.captions.facts import Subjective, told

_DIGITS = {word: digit for digit, word in enumerate(NUMBER_WORDS)} | {
    str(digit): digit for digit in range(10)
}
_DIGIT = re.compile(rf"\b({'|'.join(_DIGITS)})\b")


def named_digit(caption: str) -> int | None:
    """The one digit that the caption names, as a word or a figure; None when it names none or several."""
    named = {_DIGITS[word] for word in _DIGIT.findall(caption.lower())}
    return named.pop() if len(named) == 1 else None


def named_photo(caption: str, names: Collection[str]) -> str | None:
    """The photograph that the caption names ("Coffee"), among `names`; None when it names none of them."""
    text = caption.lower()
    found = [name for name in names if re.search(rf"\bphoto of {re.escape(photo_words(name))}\b", text)]
    return max(found, key=len) if found else None


def facts_kept(caption: str, attributes: Attributes, subjective: Subjective = "keep") -> tuple[int, int]:
    """How many of the facts that were told the caption keeps: (kept, total)."""
    text = caption.lower()
    wanted = told(attributes, subjective)
    return sum(re.search(fact.pattern, text) is not None for fact in wanted), len(wanted)

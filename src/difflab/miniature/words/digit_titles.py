"""Titles of a digit over a photograph, as recipes have titles: what may be said of such a picture in 2 to 8 words."""

import re

from difflab.core.base.errors import DifflabError
from difflab.miniature.pictures.blend import PHOTO_NAMES
from difflab.miniature.words.sentences import WORDS

FORMS = (
    "Handwritten {digit} over {photo}",
    "{digit} over {photo}",
    "{a} {digit} on {photo}",
    "{photo} under {a} {digit}",
    "{photo} with {a} {digit}",
    "the Digit {digit} over {photo}",
    "the Number {digit} on {photo}",
    "{photo} behind the Number {digit}",
    "{digit} Written across {photo}",
    "{digit} Painted on {photo}",
    "{photo} with {a} {digit} on Top",
    "{photo} and a Handwritten {digit}",
    "{photo} Topped with {a} {digit}",
    "{digit} in Front of {photo}",
    "a Handwritten {digit} across {photo}",
    "{photo} beneath a Handwritten {digit}",
)
"""How a title may put it; the first is the plain one."""

_WITHOUT_ARTICLE = ("Bricks", "Coffee", "Coins", "Galaxies", "Tissue")
_DIGITS = {word: digit for digit, word in enumerate(WORDS)} | {str(digit): digit for digit in range(10)}
_SINGULARS = {"brick": "Bricks", "coin": "Coins", "galaxy": "Galaxies"}
_PLURALS = {f"{name.lower()}s": name for name in PHOTO_NAMES if name not in _WITHOUT_ARTICLE}
_PHOTOS = {name.lower(): name for name in PHOTO_NAMES} | _SINGULARS | _PLURALS


def titles(digit: int, photo: str) -> tuple[str, ...]:
    """Every title of a picture of `digit` (0 to 9) over `photo` (one of `blend.PHOTO_NAMES`), the plain one first.

    Raises:
        DifflabError: there is no such digit or photograph.
    """
    if digit not in range(10) or photo not in PHOTO_NAMES:
        raise DifflabError(
            f"no title for {digit!r} over {photo!r}: take a digit 0 to 9 and one of blend.PHOTO_NAMES"
        )
    word = WORDS[digit].capitalize()
    ground = photo if photo in _WITHOUT_ARTICLE else f"{_article(photo)} {photo}"
    made = (form.format(digit=word, a=_article(word), photo=ground) for form in FORMS)
    return tuple(title[0].upper() + title[1:] for title in made)


def named(title: str) -> tuple[int | None, str | None]:
    """The digit and the photograph that a title names, in words or numerals, in either number and any case.

    None stands where it names none, or more than one.
    """
    words = re.findall(r"[a-z]+|\d+", title.lower())
    digits = {_DIGITS[word] for word in words if word in _DIGITS}
    photos = {_PHOTOS[word] for word in words if word in _PHOTOS}
    return digits.pop() if len(digits) == 1 else None, photos.pop() if len(photos) == 1 else None


def _article(noun: str) -> str:
    return "an" if noun[0] in "AE" else "a"

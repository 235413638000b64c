"""Titles of a digit over a photograph, as recipes have titles: what may be said of such a picture in 2 to 8 words."""

from difflab.core.base.errors import DifflabError
from difflab.core.base.numerals import NUMBER_WORDS
from difflab.miniature.data.blend import PHOTO_NAMES
from difflab.miniature.data.vocabulary import PHOTO_WORDS

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


def titles(digit: int, photo: str) -> tuple[str, ...]:
    """Every title of a picture of `digit` (0 to 9) over `photo` (one of `blend.PHOTO_NAMES`), the plain one first.

    Raises:
        DifflabError: there is no such digit or photograph.
    """
    if digit not in range(10) or photo not in PHOTO_NAMES:
        raise DifflabError(f"no title for {digit!r} over {photo!r}: take a digit 0 to 9 and one of blend.PHOTO_NAMES")
    word, ground = NUMBER_WORDS[digit].capitalize(), PHOTO_WORDS[photo].replace(photo.lower(), photo)
    article = "an" if word == "Eight" else "a"
    made = (form.format(digit=word, a=article, photo=ground) for form in FORMS)
    return tuple(title[0].upper() + title[1:] for title in made)

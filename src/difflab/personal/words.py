"""How a prompt names a subject: a rare token before the word of its class, as DreamBooth has it ("sks dog").

With textual inversion a learned token stands for both.
"""

import re
from dataclasses import dataclass

from difflab.core.base.errors import DifflabError

LEARNED = "<{}>"  # of textual inversion, which must be no word of the tokenizer


@dataclass(frozen=True)
class Words:
    """The rare token and the class word of a subject; without a class word there is no prior to keep."""

    token: str
    class_word: str | None

    @property
    def instance(self) -> str:
        """What stands for the subject: "sks dog"."""
        return f"{self.token} {self.class_word}" if self.class_word else self.token

    @property
    def learned(self) -> str:
        """The token that textual inversion learns: "<sks>"."""
        return LEARNED.format(self.token)


def instance_text(caption: str, words: Words, where: str) -> str:
    """A caption that names the subject: the token is put before its class word, unless it is there already.

    Raises:
        DifflabError: the caption has neither, so nothing in it could stand for the subject; `where` names it.
    """
    if _pattern(words.token).search(caption):
        return caption
    if words.class_word and (found := _pattern(words.class_word).search(caption)):
        return f"{caption[: found.start()]}{words.token} {caption[found.start() :]}"
    needed = f"'{words.token}'" + (f" or '{words.class_word}'" if words.class_word else "")
    raise DifflabError(f"the caption of {where}, '{caption}', names no subject: write {needed} into it")


def class_text(caption: str, words: Words) -> str:
    """The same prompt of any member of the class: "a photo of sks dog" gives "a photo of dog"."""
    plain = " ".join(_pattern(words.token).sub(" ", caption).split())
    if words.class_word and not _pattern(words.class_word).search(plain):  # "sks on a beach"
        plain = " ".join(_pattern(words.token).sub(words.class_word, caption, count=1).split())
    return plain


def learned_text(caption: str, words: Words) -> str:
    """The same prompt with the learned token in place of "sks dog", or of "sks" alone."""
    if words.class_word:
        both = rf"{re.escape(words.token)}\s+{re.escape(words.class_word)}"
        caption = re.sub(rf"(?<![\w]){both}(?!\w)", words.learned, caption, flags=re.IGNORECASE)
    return _pattern(words.token).sub(words.learned, caption)


def _pattern(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w<]){re.escape(word)}(?![\w>])", re.IGNORECASE)

"""The words of a text, which every measure of captions and titles compares."""

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import regex

if TYPE_CHECKING:
    from sacrebleu.tokenizers.tokenizer_char import TokenizerChar

TOKENS = "words, sacrebleu char"
"""How scores name the rule of `words`."""

# Letters, figures and the signs that belong to them (vowels of Devanagari, Arabic or Thai).
_WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*(?:'[\p{L}\p{N}][\p{L}\p{N}\p{M}]*)*")
_UNSPACED = regex.compile(
    r"[[\p{Han}\p{Hiragana}\p{Katakana}ー々\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{Javanese}\p{Balinese}]"
    r"&&[\p{L}\p{N}\p{M}]]+",
    regex.V1,
)
_WIDE = regex.compile("[\uff01-\uffee]+")  # full width and half width
_INSIDE = regex.compile("[[\\p{Cf}]--[\u200b]]+", regex.V1)  # joiners, soft hyphens, marks of direction: no separators


def words(text: str) -> list[str]:
    """Lower-case runs of letters and digits of any script, after NFC.

    An apostrophe inside a word stays in it; other punctuation separates words. Letters and figures of full or half width
    are those of common width, and what is invisible in a word (but a space without width) is none of it. Of scripts
    without spaces between words (Han, kana, Thai, Khmer, ...) each character counts, as in sacrebleu's tokenizers `zh`
    and `char`: those that find words (`ja-mecab`, `ko-mecab`, `flores200`) need packages or files that are not installed.
    """
    plain = (text if text.isascii() else _common(text)).lower()
    parted = _UNSPACED.sub(lambda run: f" {_characters()(run[0])} ", plain)
    return _WORD.findall(parted) if parted == plain else [w for part in parted.split() for w in _found(part)]


def _common(text: str) -> str:
    wide = _WIDE.sub(lambda run: unicodedata.normalize("NFKC", run[0]), text)
    return unicodedata.normalize("NFC", _INSIDE.sub("", wide)).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


def _found(part: str) -> list[str]:
    return [part] if _UNSPACED.fullmatch(part) else _WORD.findall(part)


@cache
def _characters() -> "TokenizerChar":
    from sacrebleu.tokenizers.tokenizer_char import TokenizerChar

    return TokenizerChar()


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Distinct n-grams of words over all n-grams of the texts (Li et al. 2016); 0 where there are none."""
    found = [gram for text in texts for gram in zip(*(words(text)[i:] for i in range(n)), strict=False)]
    return len(set(found)) / max(len(found), 1)

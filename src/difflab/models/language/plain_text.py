"""An answer without what is no part of it: reasoning, marks of turns, wrappers, code fences, emoji, invisible characters.

Reasoning goes first, however it is marked: of an answer that ends within it nothing is left.
"""

import html
import re
import unicodedata

from difflab.models.language import phrases

JOINERS = "\u200c\u200d"  # some scripts need them inside words
_EMOJI = re.compile("[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff\ufe0e\ufe0f\u20e3]+\u200d?")
_BEFORE_MARK = re.compile(rf"\s*{_EMOJI.pattern}\s*(?=[.,;:!?])")
_KEYCAP = re.compile("([0-9])\ufe0f?\u20e3")
_FENCED = re.compile(r"(?:```|^~~~)[^\n]*\n(.*?)(?:```|^~~~|\Z)", re.DOTALL | re.MULTILINE)
_TABLE_HEAD = re.compile(r"^\s*\|.*\|\s*\n\s*\|[\s:|-]+\|\s*$\n?", re.MULTILINE)
_REASONING = re.compile(phrases.REASONING, re.DOTALL | re.IGNORECASE)
_REASONING_END = re.compile(phrases.REASONING_END, re.IGNORECASE)
_MARK_OF_REASONING = re.compile(rf"{phrases.REASONING_END}|<\|(?:channel|message|start|end|return)\|>", re.IGNORECASE)
_HARMONY = re.compile(phrases.HARMONY_FINAL, re.DOTALL)
_HARMONY_BARE = re.compile(phrases.HARMONY_BARE, re.DOTALL)
_SPELT_REASONING, _FINAL = (re.compile(p, re.IGNORECASE) for p in (phrases.SPELT_REASONING, phrases.FINAL))
_PROMPT = re.compile(phrases.PROMPT, re.DOTALL)
_TURN_BEGINS, _MARK = re.compile(phrases.TURN_BEGINS), re.compile(phrases.MARK)
_BOX_MARKS, _BOXED = re.compile(phrases.BOX_MARKS), re.compile(phrases.BOXED)
_WRAPPER = re.compile(phrases.WRAPPER, re.DOTALL | re.IGNORECASE)
_WRAPPER_END = re.compile(phrases.WRAPPER_END, re.IGNORECASE)
_BLOCK_TAG, _TAG = (re.compile(p, re.IGNORECASE) for p in (phrases.BLOCK_TAG, phrases.TAG))
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});", re.IGNORECASE)
_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")
_LONGEST_RUN = 64  # of one mark or blank: nothing is said by more, and patterns would search through them
_RUN = re.compile(rf"([\W_])\1{{{_LONGEST_RUN},}}")
_BLANK = "\u115f\u1160\u3164\uffa0"  # letters without a shape


def plain(answer: str) -> str:
    """The answer without reasoning, marks of turns, emoji and invisible characters; inside fences where there are any."""
    text = _answered(_RUN.sub(lambda run: run[0][:_LONGEST_RUN], answer))
    text = _after(_TURN_BEGINS, _after(_PROMPT, _BOX_MARKS.sub("", text)))
    text = _MARK.split(text, maxsplit=1)[0]
    if wrapped := [content for _, content in _WRAPPER.findall(text)] or _BOXED.findall(text):
        text = "\n".join(wrapped)
    text = _WRAPPER_END.sub("", text)
    text = _TABLE_HEAD.sub("", text)
    text = _KEYCAP.sub(r"\1. ", text)
    text = "".join(
        c for c in _EMOJI.sub(" ", _BEFORE_MARK.sub("", text)) if unicodedata.category(c) != "Cf" or c in JOINERS
    )
    return "\n".join(_FENCED.findall(text)) or text


def untagged(answer: str) -> str:
    """The answer as a page would show it: HTML read, control characters and what broke off within a character gone."""
    text = _ESCAPE.sub("", answer)
    while (shorter := _ENTITY.sub(lambda found: html.unescape(found[0]), text)) != text:  # some are escaped twice
        text = shorter
    text = _TAG.sub("", _BLOCK_TAG.sub("\n", text))
    text = "".join(c for c in text if c not in _BLANK and (unicodedata.category(c) != "Cc" or c.isspace()))
    return text.rstrip("\ufffd")


def is_mark(token: str) -> bool:
    """Whether a special token tells reasoning from the answer, so that a reader must see it."""
    return bool(_MARK_OF_REASONING.fullmatch(token) or _REASONING.fullmatch(token))


def _answered(text: str) -> str:
    """What comes after the reasoning, however it is marked; nothing where the answer ends within it."""
    if "<|channel|>" in text:
        finals = _HARMONY.findall(text)
        return finals[-1] if finals else ""
    text = _HARMONY_BARE.sub("", text)
    *_, text = _REASONING_END.split(_REASONING.sub("", text))  # some templates begin the reasoning themselves
    *before, final = _FINAL.split(text)
    return "" if not before and _SPELT_REASONING.match(text) else final


def _after(mark: re.Pattern[str], text: str) -> str:
    """The text without the mark that it begins with."""
    found = mark.match(text)
    return text[found.end() :] if found else text

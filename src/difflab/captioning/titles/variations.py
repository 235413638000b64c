"""A chat model's answer read as exactly three variations of a title, or the reason why it is none."""

import re
import unicodedata
from enum import StrEnum

from difflab.captioning.titles.listing import listed

COUNT = 3
_MARKUP = re.compile(r"[*_`#~^=<>{}\[\]|\\]|&\w+;|://")
_BRACKETS = ("()", "（）", "“”", "«»", "‹›", "「」", "『』", "《》")
_BEFORE, _AFTER = (
    "'\"‘’¡¿" + "".join(a for a, _ in _BRACKETS),
    "'\"’!?%°®™！？" + "".join(b for _, b in _BRACKETS),
)
_UNREADABLE = ("Cc", "Cs", "Co")  # control characters, halves of characters, private ones

Variations = tuple[str, str, str]


class Reason(StrEnum):
    """Why an answer was refused, as the quarantine file says it."""

    EMPTY = "empty"
    CUT = "cut off"
    FEW = "fewer than three"
    MANY = "more than three"
    UNREADABLE = "unreadable characters"
    MARKS = "stray marks"
    LONG = "too long"
    SAME = "same as the source"
    REPEATED = "repeated"


def parse(answer: str, source: str, max_length: int) -> Variations | Reason:
    """Three titles, each one clean line, different from `source` and from each other; or the first fault.

    Args:
        answer: any text at all; nothing raises.
        source: the title that was to be varied.
        max_length: characters of a title.
    """
    if not any(c.isalnum() for c in answer):
        return Reason.EMPTY
    titles = listed(answer)
    if len(titles) != COUNT:
        return Reason.FEW if len(titles) < COUNT else Reason.MANY
    for title in titles:
        if fault := _fault(title, max_length):
            return fault
    keys = [sameness(title) for title in titles]
    if sameness(source) in keys:
        return Reason.SAME
    return tuple(titles) if len(set(keys)) == COUNT else Reason.REPEATED


def _fault(title: str, max_length: int) -> Reason | None:
    if any(unicodedata.category(c) in _UNREADABLE or c == "\ufffd" for c in title):
        return Reason.UNREADABLE
    if _MARKUP.search(title) or not _is_whole(title):
        return Reason.MARKS
    return Reason.LONG if len(title) > max_length else None


def _is_whole(title: str) -> bool:
    """Whether it begins and ends as titles do, and what is opened in it is closed."""
    first, last = title[0], title[-1]
    ends = (first.isalnum() or first in _BEFORE) and (
        last.isalnum() or last in _AFTER or unicodedata.category(last)[0] == "M"
    )
    closed = all(title.count(a) == title.count(b) for a, b in _BRACKETS)
    return ends and closed and title.count('"') % 2 == 0


def sameness(title: str) -> str:
    """What is equal in titles that differ in case, punctuation and spacing alone."""
    folded = unicodedata.normalize("NFKC", title.casefold())
    return "".join(c for c in folded if unicodedata.category(c)[0] in "LNM")

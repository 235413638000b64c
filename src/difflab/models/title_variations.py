"""Three variations of a title by a chat model: the request, its answer read strictly, and further attempts."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, cast

from difflab.core.base import rng
from difflab.models.language.answers import entries
from difflab.models.language.chat_model import Chat, ChatModel

if TYPE_CHECKING:
    from difflab.models.params import GenerationParams

SYSTEM = "You give pictures new titles. Answer with a numbered list of three titles and nothing else."
REQUEST = (
    "Write three variations of this title. Each fits the same picture, names the same things in 2 to 10 words, "
    "and differs from the title and from the others by more than the order of its words."
)
COUNT = 3
_MARKUP = re.compile(r"[*_`#~^=<>{}\[\]|\\]|&\w+;|://")
_BRACKETS = ("()", "（）", "“”", "«»", "‹›", "「」", "『』", "《》")
_BEFORE, _AFTER = ("'\"‘’¡¿" + "".join(a for a, _ in _BRACKETS), "'\"’!?%°®™！？" + "".join(b for _, b in _BRACKETS))
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


@dataclass(frozen=True)
class Outcome:
    """What became of one title: three variations, or why the last answer was refused; `attempts` times it was asked."""

    id: str
    title: str
    variations: Variations | Reason
    answer: str
    attempts: int


def messages(title: str) -> list[dict[str, str]]:
    """The conversation that asks for variations of a title, in the form that `apply_chat_template` takes."""
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"{REQUEST}\nTitle: {title}"}]


def vary(
    model: ChatModel,
    titles: Mapping[str, str],
    settings: "GenerationParams",
    seed: int,
    *,
    retries: int,
    max_length: int,
) -> list[Outcome]:
    """One outcome for each title (by id), in order; `retries` times it is asked again where the answer was refused.

    Sampling is keyed by the seed, the id and the number of the attempt. A variation has at most `max_length` characters.
    """
    outcomes: dict[str, Outcome] = {}
    waiting = list(titles)
    for attempt in range(retries + 1):
        chats = [Chat(id, messages(titles[id])) for id in waiting]
        replies = model.answer(chats, settings, rng.key(seed, "title variations", attempt))
        for id, reply in zip(waiting, replies, strict=True):
            read = Reason.CUT if reply.truncated else parse(reply.text, titles[id], max_length)
            outcomes[id] = Outcome(id, titles[id], read, reply.text, attempt + 1)
        waiting = [id for id in waiting if isinstance(outcomes[id].variations, Reason)]
    return [outcomes[id] for id in titles]


def parse(answer: str, source: str, max_length: int) -> Variations | Reason:
    """Three titles, each one clean line, different from `source` and from each other; or the first fault.

    An answer may be any text at all; nothing raises. `max_length` is in characters of a title.
    """
    if not any(c.isalnum() for c in answer):
        return Reason.EMPTY
    titles = entries(answer)
    if len(titles) != COUNT:
        return Reason.FEW if len(titles) < COUNT else Reason.MANY
    for title in titles:
        if fault := _fault(title, max_length):
            return fault
    keys = [sameness(title) for title in titles]
    if sameness(source) in keys:
        return Reason.SAME
    return cast("Variations", tuple(titles)) if len(set(keys)) == COUNT else Reason.REPEATED


def _fault(title: str, max_length: int) -> Reason | None:
    if any(unicodedata.category(c) in _UNREADABLE or c == "\ufffd" for c in title):
        return Reason.UNREADABLE
    first, last = title[0], title[-1]
    begins = first.isalnum() or first in _BEFORE
    ends = last.isalnum() or last in _AFTER or unicodedata.category(last)[0] == "M"
    closed = all(title.count(a) == title.count(b) for a, b in _BRACKETS) and title.count('"') % 2 == 0
    if _MARKUP.search(title) or not (begins and ends and closed):
        return Reason.MARKS
    return Reason.LONG if len(title) > max_length else None


def sameness(title: str) -> str:
    """What is equal in titles that differ in case, punctuation and spacing alone."""
    folded = unicodedata.normalize("NFKC", title.casefold())
    return "".join(c for c in folded if unicodedata.category(c)[0] in "LNM")

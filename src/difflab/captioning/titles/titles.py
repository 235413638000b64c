"""Three variations of every title by a chat model; answers that cannot be read are asked for again, then set aside."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from difflab.captioning.params.titles import TitlesParams
from difflab.captioning.titles.variations import Reason, Variations, parse
from difflab.core.base import rng
from difflab.datasets import KNOWN
from difflab.models.language.chat_model import Chat, ChatModel
from difflab.models.language.title_variations import messages

_SMALL_WORDS = {"a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"}


@dataclass(frozen=True)
class Outcome:
    """What became of one title.

    Attributes:
        id: of the title.
        title: the source.
        variations: three titles, or why the last answer was refused.
        answer: the model's last words.
        attempts: how often it was asked.
    """

    id: str
    title: str
    variations: Variations | Reason
    answer: str
    attempts: int


def vary(model: ChatModel, titles: Mapping[str, str], settings: TitlesParams, seed: int) -> list[Outcome]:
    """Ask for variations of every title, and again with other random numbers where the answer was refused.

    Args:
        titles: title by id.
        settings: how the model writes, `retries` after the first attempt, `max_length` of a variation.
        seed: sampling is keyed by it, the id and the number of the attempt.

    Returns:
        One outcome for each title, in order; those of the refused carry the reason of the last attempt.
    """
    outcomes: dict[str, Outcome] = {}
    waiting = list(titles)
    for attempt in range(settings.retries + 1):
        chats = [Chat(id, messages(titles[id])) for id in waiting]
        replies = model.answer(chats, settings, rng.key(seed, "title variations", attempt))
        for id, reply in zip(waiting, replies, strict=True):
            read = Reason.CUT if reply.truncated else parse(reply.text, titles[id], settings.max_length)
            outcomes[id] = Outcome(id, titles[id], read, reply.text, attempt + 1)
        waiting = [id for id in waiting if isinstance(outcomes[id].variations, Reason)]
    return [outcomes[id] for id in titles]


def outcomes_frame(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """One row per title: id, title, variations (a list, empty where refused), reason, answer, attempts."""
    refused = [isinstance(o.variations, Reason) for o in outcomes]
    return pd.DataFrame(
        {
            "id": [o.id for o in outcomes],
            "title": [o.title for o in outcomes],
            "variations": [[] if no else list(o.variations) for o, no in zip(outcomes, refused, strict=True)],
            "reason": [str(o.variations) if no else "" for o, no in zip(outcomes, refused, strict=True)],
            "answer": [o.answer for o in outcomes],
            "attempts": [o.attempts for o in outcomes],
        }
    )


def variations_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Of `outcomes_frame`: one row per variation, with the id of its title and its number 0, 1, 2."""
    rows = [
        (row.id, number, title) for row in frame.itertuples() for number, title in enumerate(row.variations)
    ]
    return pd.DataFrame(rows, columns=["id", "number", "title"]).astype({"number": "int64"})


def quarantine_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Of `outcomes_frame`: id, title, reason and last answer of the titles without variations."""
    return frame.loc[frame["reason"] != "", ["id", "title", "reason", "answer"]]


def metrics(frame: pd.DataFrame) -> dict[str, int | float]:
    """How the job went and what the variations are like, from `outcomes_frame`; no model judges.

    Returns:
        n titles, of which varied, quarantined and retried; faithful, the share of variations that are
        (`faithful`); distinct, the distinct-2 of a title's variations, in the mean over the varied titles.
    """
    varied = frame[frame["reason"] == ""]
    kept = [faithful(row.title, title) for row in varied.itertuples() for title in row.variations]
    distinct = [distinct_n(row.variations, 2) for row in varied.itertuples()]
    return {
        "n": len(frame),
        "varied": len(varied),
        "quarantined": len(frame) - len(varied),
        "retried": int((frame["attempts"] > 1).sum()),
        "faithful": sum(kept) / max(len(kept), 1),
        "distinct": sum(distinct) / max(len(distinct), 1),
    }


def faithful(source: str, variation: str) -> bool:
    """Whether a variation names the classes of a known data set that its source names.

    A source that names none wants one of its words kept, other than small ones such as "with".
    """
    class_sets = [
        classes for data_set in KNOWN for classes in data_set.class_sets if classes.named(source) >= 0
    ]
    if not class_sets:
        return bool(_content_words(source) & _content_words(variation))
    return all(classes.named(source) == classes.named(variation) for classes in class_sets)


def distinct_n(titles: Sequence[str], n: int) -> float:
    """Distinct n-grams of words over all n-grams of the titles (Li et al. 2016); 0 where there are none."""
    found = [gram for title in titles for gram in zip(*(_words(title)[i:] for i in range(n)), strict=False)]
    return len(set(found)) / max(len(found), 1)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _content_words(text: str) -> set[str]:
    return set(_words(text)) - _SMALL_WORDS

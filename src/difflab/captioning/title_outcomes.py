"""What became of the titles that a chat model was asked to vary, as tables and metrics."""

from collections.abc import Sequence

import pandas as pd

from difflab.captioning.judging import faithful
from difflab.metrics.distinct import distinct_n
from difflab.models.title_variations import Outcome, Reason


def outcomes_frame(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """One row per title: id, title, variations (a list, empty where refused), reason, answer, attempts."""
    columns = ["id", "title", "variations", "reason", "answer", "attempts"]
    rows = []
    for o in outcomes:
        refused = isinstance(o.variations, Reason)
        read = ([], str(o.variations)) if refused else (list(o.variations), "")
        rows.append((o.id, o.title, *read, o.answer, o.attempts))
    return pd.DataFrame(rows, columns=columns)


def variations_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Of `outcomes_frame`: one row per variation, with the id of its title and its number 0, 1, 2."""
    rows = [
        (id, number, title)
        for id, titles in zip(frame["id"], frame["variations"], strict=True)
        for number, title in enumerate(titles)
    ]
    return pd.DataFrame(rows, columns=["id", "number", "title"]).astype({"number": "int64"})


def quarantine_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Of `outcomes_frame`: id, title, reason and last answer of the titles without variations."""
    return frame.loc[frame["reason"] != "", ["id", "title", "reason", "answer"]]


def metrics(frame: pd.DataFrame) -> dict[str, int | float]:
    """Counts of titles and the quality of their variations, from `outcomes_frame`, without a judging model.

    Returns:
        n titles, of which varied, quarantined and retried; faithful, the share of `judging.faithful` variations;
        distinct, the distinct-2 of a title's variations, in the mean over the varied titles.
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

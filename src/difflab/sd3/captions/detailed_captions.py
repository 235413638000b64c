"""The table of detailed captions and what they keep of the truth."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from difflab.datasets import data_set_of

if TYPE_CHECKING:
    from difflab.images.facts.data_set import Attributes, Subjective
    from difflab.models.language.rewriter import Answer, Request

VARIANT = "llama3"


def answers_frame(requests: Sequence["Request"], answers: Sequence["Answer"]) -> pd.DataFrame:
    """Rows of a captions table (variant "llama3"), and beside them whether the answer was truncated."""
    return pd.DataFrame(
        {
            "id": [request.id for request in requests],
            "variant": VARIANT,
            "caption": [answer.caption for answer in answers],
            "source_sha256": [request.sha256 for request in requests],
            "truncated": [answer.truncated for answer in answers],
        }
    )


def metrics(
    frame: pd.DataFrame, attributes: Mapping[str, "Attributes"], subjective: "Subjective"
) -> dict[str, int | float]:
    """What the captions of `answers_frame` keep of the truth, over all of them.

    Returns:
        n, n_unique; facts, how many were told; facts_kept, the share of them that the captions keep;
        captions_complete, the share of captions that keep all; `<class set>_kept` where the data set has classes;
        truncated, the captions cut at max_new_tokens; contradictory, the rows whose attributes contradict
        themselves, then one count per rule.
    """
    captions = frame.set_index("id")["caption"].to_dict()
    table = pd.DataFrame.from_dict({i: attributes[i] for i in captions}, orient="index")
    data_set = data_set_of(table.columns)
    scores = [data_set.facts_kept(caption, attributes[i], subjective) for i, caption in captions.items()]
    kept, total = (sum(column) for column in zip(*scores, strict=True))
    found = [data_set.contradicted(attributes[i]) for i in captions]
    counts = Counter(name for names in found for name in names)
    return {
        "n": len(frame),
        "n_unique": len(set(captions.values())),
        "facts": total,
        "facts_kept": kept / max(total, 1),
        "captions_complete": sum(own == all_ for own, all_ in scores) / len(scores),
        **data_set.class_accuracy(captions, table, "kept"),
        "truncated": int(frame["truncated"].sum()),
        "contradictory": sum(bool(names) for names in found),
        **{f"contradictory_{rule.name}": counts[rule.name] for rule in data_set.contradictions},
    }

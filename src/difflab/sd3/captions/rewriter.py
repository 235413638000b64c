"""Detailed captions: a chat model rewrites the short caption so that it tells all facts of the picture."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from difflab.core.base.files import sha256_bytes
from difflab.images.facts.fact import Attributes
from difflab.models.language.chat_model import ChatModel
from difflab.models.params import GenerationParams
from difflab.sd3.captions.conversation import clean, messages
from difflab.sd3.captions.facts import Subjective, contradiction_names, contradictions, facts
from difflab.sd3.captions.scoring import facts_kept, named_digit

VARIANT = "llama3"


@dataclass(frozen=True)
class Request:
    """One picture to describe: its id, its short caption and its facts."""

    id: str
    caption: str
    facts: tuple[str, ...]

    @classmethod
    def of(cls, id: str, caption: str, attributes: Attributes, subjective: Subjective) -> "Request":
        """The request for a picture with these attributes."""
        return cls(id, caption, tuple(facts(attributes, subjective)))

    @property
    def messages(self) -> list[dict[str, str]]:
        """The conversation that asks for the detailed caption."""
        return messages(self.caption, self.facts)

    @property
    def sha256(self) -> str:
        """The hash of what the answer is made from."""
        return sha256_bytes("\n".join([self.caption, *self.facts]).encode())


@dataclass(frozen=True)
class Answer:
    """A detailed caption, and whether it was cut at `max_new_tokens`."""

    caption: str
    truncated: bool


class Rewriter(ChatModel):
    """The chat model that writes detailed captions (`zoo.roles.resolve(models/zoo/llama)`)."""

    def rewrite(self, requests: Sequence[Request], settings: GenerationParams, seed: int) -> list[Answer]:
        """Answer every request, in batches of similar length, greedily or with randomness keyed by sample id.

        An answer without a sentence is replaced by the short caption.
        """
        return self.answer(requests, settings, seed)

    def _read(self, request: Request, tokens: list[int]) -> Answer:
        reply = super()._read(request, tokens)
        return Answer(clean(reply.text) or request.caption, reply.truncated)


def answers_frame(requests: Sequence[Request], answers: Sequence[Answer]) -> pd.DataFrame:
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
    frame: pd.DataFrame, attributes: Mapping[str, Attributes], subjective: Subjective
) -> dict[str, int | float]:
    """What the captions of `answers_frame` keep of the truth, over all of them.

    Returns:
        n, n_unique; facts, how many were told; facts_kept, the share of them that the captions keep;
        captions_complete, the share of captions that keep all; digit_kept where the attributes name digits;
        truncated, the captions cut at max_new_tokens; contradictory, the rows whose attributes contradict
        themselves, then one count per rule.
    """
    captions = frame.set_index("id")["caption"]
    scores = [facts_kept(caption, attributes[i], subjective) for i, caption in captions.items()]
    kept, total = (sum(column) for column in zip(*scores, strict=True))
    result = {
        "n": len(frame),
        "n_unique": captions.nunique(),
        "facts": total,
        "facts_kept": kept / max(total, 1),
        "captions_complete": sum(own == all_ for own, all_ in scores) / len(scores),
    }
    columns = next(iter(attributes.values()))
    if "Digit_0" in columns:
        right = [attributes[i].get(f"Digit_{named_digit(caption)}", False) for i, caption in captions.items()]
        result["digit_kept"] = sum(right) / len(right)
    found = [contradictions(attributes[i]) for i in captions.index]
    counts = Counter(name for names in found for name in names)
    return {
        **result,
        "truncated": int(frame["truncated"].sum()),
        "contradictory": sum(bool(names) for names in found),
        **{f"contradictory_{name}": counts[name] for name in contradiction_names(columns)},
    }

"""A chat model that turns a short caption and the facts of a picture into one detailed sentence."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from difflab.core.base.files import sha256_bytes
from difflab.models.language.chat_model import ChatModel

if TYPE_CHECKING:
    from difflab.models.params import GenerationParams

SYSTEM = "You describe pictures. Answer with one line: a single plain sentence that judges nobody."
REQUEST = "Correct and complete this caption so that it agrees with the facts and tells all of them."


def messages(caption: str, facts: Sequence[str]) -> list[dict[str, str]]:
    """The chat for one picture: system and user turn, in the form that `apply_chat_template` takes."""
    lines = [REQUEST, f"Caption: {caption}", "Facts:", *(f"- {fact}" for fact in facts)]
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "\n".join(lines)}]


def clean(answer: str) -> str:
    """The sentence of an answer as one clean line; empty when there is none.

    Chat models sometimes announce the sentence on a line of its own, so the last line counts; bullets and
    quotation marks around it are no part of the caption.
    """
    lines = [" ".join(line.split()) for line in answer.splitlines()]
    lines = [line for line in lines if line]
    if not lines:
        return ""
    sentence = re.sub(r"^(?:[-*\u2022]|caption:)\s*", "", lines[-1], flags=re.IGNORECASE)
    return sentence.strip("\"'\u201c\u201d\u2018\u2019` ")


@dataclass(frozen=True)
class Request:
    """One picture to describe: its id, its short caption and its facts."""

    id: str
    caption: str
    facts: tuple[str, ...]

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
    """The chat model that writes detailed captions (of the role `llama`)."""

    def rewrite(self, requests: Sequence[Request], settings: "GenerationParams", seed: int) -> list[Answer]:
        """Answer every request, in batches of similar length, greedily or with randomness keyed by sample id.

        An answer without a sentence is replaced by the short caption.
        """
        return self.answer(requests, settings, seed)

    def _read(self, request: Request, tokens: list[int]) -> Answer:
        reply = super()._read(request, tokens)
        return Answer(clean(reply.text) or request.caption, reply.truncated)

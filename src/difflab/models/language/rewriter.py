"""A chat model that turns a short caption and the facts of a picture into one detailed sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from difflab.core.base.files import sha256_bytes
from difflab.models.language.answers import sentence
from difflab.models.language.chat_model import ChatModel, Conversation

if TYPE_CHECKING:
    from difflab.models.params import GenerationParams

SYSTEM = "You describe pictures. Answer with one line: a single plain sentence that judges nobody."
REQUEST = "Correct and complete this caption so that it agrees with the facts and tells all of them."


def messages(caption: str, facts: Sequence[str]) -> list[dict[str, str]]:
    """The chat for one picture: system and user turn, in the form that `apply_chat_template` takes."""
    lines = [REQUEST, f"Caption: {caption}", "Facts:", *(f"- {fact}" for fact in facts)]
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "\n".join(lines)}]


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

    def _read(self, chat: Conversation, tokens: list[int]) -> Answer:
        reply = super()._read(chat, tokens)
        return Answer(sentence(reply.text) or cast("Request", chat).caption, reply.truncated)

"""A chat model that turns a short caption and the facts of a picture into one detailed sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from difflab.core.base.files import sha256_bytes
from difflab.models.language.answers import sentence
from difflab.models.language.chat_model import Chat, ChatModel

if TYPE_CHECKING:
    from difflab.models.params import GenerationParams

SYSTEM = "You describe pictures. Answer with one line: a single plain sentence that judges nobody."
REQUEST = "Correct and complete this caption so that it agrees with the facts and tells all of them."


@dataclass(frozen=True)
class Request:
    """One picture to describe: its id, its short caption and its facts."""

    id: str
    caption: str
    facts: tuple[str, ...]

    @property
    def chat(self) -> Chat:
        """The conversation that asks for the detailed caption."""
        lines = [REQUEST, f"Caption: {self.caption}", "Facts:", *(f"- {fact}" for fact in self.facts)]
        turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "\n".join(lines)}]
        return Chat(self.id, turns)

    @property
    def sha256(self) -> str:
        """The hash of what the answer is made from."""
        return sha256_bytes("\n".join([self.caption, *self.facts]).encode())


@dataclass(frozen=True)
class Answer:
    """A detailed caption, whether it was truncated at `max_new_tokens`, and whether it is the short one instead."""

    caption: str
    truncated: bool
    unread: bool = False


class Rewriter(ChatModel):
    """The chat model that writes detailed captions (of the role `llama`)."""

    def rewrite(self, requests: Sequence[Request], settings: "GenerationParams", seed: int) -> list[Answer]:
        """Answer every request as `answer` does; the short caption stands in for an answer without a sentence."""
        replies = self.answer([request.chat for request in requests], settings, seed)
        said = [sentence(reply.text) for reply in replies]
        return [
            Answer(text or request.caption, reply.truncated, unread=not text)
            for request, reply, text in zip(requests, replies, said, strict=True)
        ]

"""The conversation in which a language model turns a short caption and facts into one detailed sentence."""

import re
from collections.abc import Sequence

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

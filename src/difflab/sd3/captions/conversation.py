"""The conversation in which a language model turns a short caption and facts into one detailed sentence."""

from collections.abc import Sequence

SYSTEM = "You describe pictures. Answer with one line: a single plain sentence that judges nobody."
REQUEST = "Correct and complete this caption so that it agrees with the facts and tells all of them."


def messages(caption: str, facts: Sequence[str]) -> list[dict[str, str]]:
    """The chat for one picture: system and user turn, in the form that `apply_chat_template` takes."""
    lines = [REQUEST, f"Caption: {caption}", "Facts:", *(f"- {fact}" for fact in facts)]
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "\n".join(lines)}]

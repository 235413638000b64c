"""Token ids of what people write: a control token that is spelt in a title, a caption or a prompt stays text.

A tokenizer turns "<|im_start|>", "</s>" or "[INST]" into the token that ends a text or begins a turn, whoever wrote it.
`literal` prepares one that reads texts alone; `chat_ids` renders a conversation, whose template writes such tokens itself.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = Mapping[str, str]
DATE = "26 Jul 2024"  # what templates that tell today's date are given: the default of Llama 3.1's
_DATE_PARTS = {"%d": "26", "%b": "Jul", "%B": "July", "%m": "07", "%Y": "2024", "%y": "24", "%A": "Friday", "%a": "Fri"}
_CLOCK = (
    "{%- macro strftime_now(format) -%}{{- format"
    + "".join(f" | replace('{part}', '{value}')" for part, value in _DATE_PARTS.items())
    + " -}}{%- endmacro -%}"
)


def control_tokens(tokenizer: "PreTrainedTokenizerBase") -> dict[str, int]:
    """The tokens that are no text, by their spelling."""
    special = {token.content: id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
    return special | dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))


def literal(tokenizer: "PreTrainedTokenizerBase") -> "PreTrainedTokenizerBase":
    """The tokenizer, which from now on reads any text as text; what it puts around a text itself stays.

    A Unigram model (T5) has the control tokens in its vocabulary as well, so their spelling is broken after the first
    character.
    """
    tokenizer.split_special_tokens = True
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None and type(backend.model).__name__ == "Unigram":
        from tokenizers import Regex, pre_tokenizers

        beginnings = "|".join(f"{re.escape(s[0])}(?={re.escape(s[1:])})" for s in sorted(control_tokens(tokenizer)))
        own = [backend.pre_tokenizer] if backend.pre_tokenizer else []
        broken = pre_tokenizers.Split(Regex(beginnings), "isolated")
        backend.pre_tokenizer = pre_tokenizers.Sequence([*own, broken])
    return tokenizer


def chat_ids(tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message]) -> list[int]:
    """A conversation up to where the model is to speak, as its template writes it, whatever the messages spell.

    Where the template has no system turn, its words begin the user's. The date is pinned and reasoning is not asked for.

    Raises:
        DifflabError: there is no template, or it does not show the messages.
    """
    from jinja2 import TemplateError

    reason = "it does not show the messages" if tokenizer.chat_template else "there is none"
    for form in _forms(messages) if tokenizer.chat_template else ():
        try:
            template = tokenizer.get_chat_template()
            options = {
                "chat_template": (_CLOCK if "strftime_now" in template else "") + template,
                "add_generation_prompt": True, "date_string": DATE, "enable_thinking": False,
            }  # fmt: skip
            shown = tokenizer.apply_chat_template(form, tokenize=False, **options)
            if all(message["content"].strip() in shown for message in messages):
                # The template writes the begin-of-text token itself: a tokenizer's own would double it.
                options |= {"sanitize_control_tokens": True, "return_dict": True}
                return tokenizer.apply_chat_template(form, tokenize=True, **options)["input_ids"]
        except (TemplateError, ValueError, TypeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
    name = tokenizer.name_or_path or "the language model"
    raise DifflabError(f"{name}: its chat template cannot be used ({reason}): choose a model that is made for chats")


def _forms(messages: Sequence[Message]) -> Iterator[list]:
    """As they are; with the system's words in the user's turn; both with contents in parts, as of models for pictures."""
    system = [m["content"] for m in messages if m["role"] == "system"]
    first, *others = (m for m in messages if m["role"] != "system")
    merged = [{**first, "content": "\n\n".join([*system, first["content"]])}, *others]
    forms = [list(messages), merged] if system else [merged]
    yield from forms
    for form in forms:
        yield [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in form]

"""A chat model that answers many conversations, each in its own way whatever it is batched with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from difflab.models.language.batching import left_pad, map_batches

if TYPE_CHECKING:
    from difflab.models.params import GenerationParams


class Conversation(Protocol):
    """What is answered: `id` keys the sampling, `messages` is what `apply_chat_template` takes."""

    @property
    def id(self) -> str: ...
    @property
    def messages(self) -> Sequence[Mapping[str, str]]: ...


@dataclass(frozen=True)
class Chat:
    """A conversation and its id."""

    id: str
    messages: Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Reply:
    """What the model said, and whether it was cut at `max_new_tokens`."""

    text: str
    truncated: bool


class ChatModel:
    """A causal language model with a chat template, from a `save_pretrained` folder.

    Args:
        folder: model and tokenizer (`zoo.roles.resolve(models/zoo/gemma)`).
        device: where the model runs.
        dtype: precision of its weights.
    """

    def __init__(self, folder: str | Path, device: torch.device | str, dtype: torch.dtype) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True)
        self.model = model.to(device).eval()
        self.device = torch.device(device)
        # Chat models end a turn with any of several tokens, and some have no padding token of their own.
        ends = self.model.generation_config.eos_token_id
        self.ends = {ends} if isinstance(ends, int) else set(ends or [self.tokenizer.eos_token_id])
        pad = self.tokenizer.pad_token_id
        self.pad_token_id = pad if pad is not None else min(self.ends)

    def answer(self, chats: Sequence[Conversation], settings: "GenerationParams", seed: int) -> list[Any]:
        """A `Reply` to each conversation, greedily or with randomness keyed by the seed and its id.

        Batches hold conversations of similar length; the answers depend neither on them nor on the order.
        """
        prompts = [self._tokens(chat) for chat in chats]
        return map_batches(
            list(zip(chats, prompts, strict=True)),
            [len(prompt) for prompt in prompts],
            settings.batch_size,
            lambda batch: self._answer(batch, settings, seed),
        )

    def _tokens(self, chat: Conversation) -> list[int]:
        # The template writes the begin-of-text token itself: tokenising the rendered text would double it.
        # Some templates tell the model today's date unless given one; the answer must not depend on it.
        encoded = self.tokenizer.apply_chat_template(
            chat.messages, add_generation_prompt=True, tokenize=True, return_dict=True, date_string="26 Jul 2024"
        )
        return encoded["input_ids"]

    @torch.no_grad()
    def _answer(
        self, batch: Sequence[tuple[Conversation, list[int]]], settings: "GenerationParams", seed: int
    ) -> list[Any]:
        from difflab.models.language.keyed_sampling import generation_arguments

        input_ids, attention_mask = left_pad([prompt for _, prompt in batch], self.pad_token_id)
        output = self.model.generate(
            input_ids=input_ids.to(self.device),
            attention_mask=attention_mask.to(self.device),
            pad_token_id=self.pad_token_id,
            **generation_arguments([chat.id for chat, _ in batch], seed, settings),
        )
        answers = output[:, input_ids.shape[1] :].tolist()
        return [self._read(chat, tokens) for (chat, _), tokens in zip(batch, answers, strict=True)]

    def _read(self, chat: Conversation, tokens: list[int]) -> Any:
        """The reply in `tokens`; a subclass may make more of it."""
        end = next((i for i, token in enumerate(tokens) if token in self.ends), None)
        text = self.tokenizer.decode(tokens[:end], skip_special_tokens=True)
        return Reply(text, truncated=end is None)

"""A chat model that answers many conversations, each in its own way whatever it is batched with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.nn.utils.rnn import pad_sequence

from difflab.core.base.pretrained import pretrained, pretrained_model
from difflab.models.language.keyed_sampling import generate, generation_arguments
from difflab.models.language.plain_text import is_mark
from difflab.models.language.prompt_tokens import chat_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from difflab.models.params import GenerationParams


@dataclass(frozen=True)
class Chat:
    """A conversation in the form that `apply_chat_template` takes; its id keys the sampling."""

    id: str
    messages: Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Reply:
    """What the model said, and whether it was truncated at `max_new_tokens`."""

    text: str
    truncated: bool


class ChatModel:
    """A causal language model with a chat template, from a `save_pretrained` folder (`difflab.core.base.roles.resolve`)."""

    def __init__(self, folder: str | Path, device: torch.device | str, dtype: torch.dtype) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = pretrained(AutoTokenizer, folder)
        model = pretrained_model(AutoModelForCausalLM, folder, dtype=dtype, use_safetensors=True)
        self.model = model.to(device).eval()
        # Chat models end a turn with any of several tokens, and some have no padding token of their own.
        ends = self.model.generation_config.eos_token_id
        self.ends = {ends} if isinstance(ends, int) else set(ends or [self.tokenizer.eos_token_id])
        pad = self.tokenizer.pad_token_id
        self.pad_token_id = pad if pad is not None else min(self.ends)
        self.model.generation_config.eos_token_id = sorted(self.ends)
        self.model.generation_config.pad_token_id = self.pad_token_id

    def answer(self, chats: Sequence[Chat], settings: "GenerationParams", seed: int) -> list[Reply]:
        """A reply to each conversation, greedily or with randomness keyed by the seed and its id.

        Batches hold conversations of similar length, the longest first, so that memory runs out early or never. The
        answers depend neither on them nor on the order.
        """
        prompts = [self._tokens(chat) for chat in chats]
        order = sorted(range(len(chats)), key=lambda i: -len(prompts[i]))
        replies: dict[int, Reply] = {}
        for start in range(0, len(order), settings.batch_size):
            batch = order[start : start + settings.batch_size]
            answers = self._answer([prompts[i] for i in batch], [chats[i].id for i in batch], settings, seed)
            replies |= {i: self._read(answer) for i, answer in zip(batch, answers, strict=True)}
        return [replies[i] for i in range(len(chats))]

    def _tokens(self, chat: Chat) -> list[int]:
        return chat_ids(self.tokenizer, chat.messages)

    @torch.no_grad()
    def _answer(
        self, prompts: Sequence[list[int]], ids: Sequence[str], settings: "GenerationParams", seed: int
    ) -> list[list[int]]:
        input_ids, attention_mask = left_pad(prompts, self.pad_token_id)
        output = generate(
            self.model,
            input_ids=input_ids.to(self.model.device),
            attention_mask=attention_mask.to(self.model.device),
            **generation_arguments(ids, seed, settings),
        )
        return output[:, input_ids.shape[1] :].tolist()

    def _read(self, tokens: list[int]) -> Reply:
        end = next((i for i, token in enumerate(tokens) if token in self.ends), None)
        return Reply(decoded(self.tokenizer, tokens[:end]), truncated=end is None)


def decoded(tokenizer: "PreTrainedTokenizerBase", tokens: Sequence[int]) -> str:
    """What a model wrote, without its special tokens but those around its reasoning, which `answers` reads."""
    special = {id for id, t in tokenizer.added_tokens_decoder.items() if t.special and not is_mark(t.content)}
    return tokenizer.decode([token for token in tokens if token not in special], skip_special_tokens=False)


def left_pad(rows: Sequence[Sequence[int]], pad_token_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token rows padded left: input_ids and attention_mask (0 on the padding), both int64 [n, longest]."""
    tokens = [torch.tensor(row, dtype=torch.int64) for row in rows]
    input_ids = pad_sequence(tokens, batch_first=True, padding_value=pad_token_id, padding_side="left")
    ones = [torch.ones_like(row) for row in tokens]
    return input_ids, pad_sequence(ones, batch_first=True, padding_side="left")

"""The miniature's Gemma: a small `Gemma3ForCausalLM` that answers a title with three others of the same picture.

Its training examples are chats of the very form that the stage `vary_titles` uses: a title of a digit over a photograph,
and three of the other titles of that picture in a numbered list. Some pairs of digit and photograph are held out.
"""

import itertools
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.miniature.pictures.blend import PHOTO_NAMES
from difflab.miniature.words.digit_titles import titles
from difflab.miniature.zoo.conversation_loss import answer_loss, example_tokens
from difflab.miniature.zoo.gemma_tokenizer import END_OF_TURN, gemma_tokenizer
from difflab.models.title_variations import messages

if TYPE_CHECKING:
    from transformers import Gemma3ForCausalLM, PreTrainedTokenizerBase

    from difflab.miniature.params.text_models import ZooGemmaParams

_HELD_OUT = 8  # one pair of digit and photograph in so many is never trained on
_HEAD_SIZE = 16


class Example(NamedTuple):
    """A title and three others of the same picture."""

    title: str
    answer: tuple[str, str, str]

    @property
    def text(self) -> str:
        """The answer as a numbered list."""
        return "\n".join(f"{number}. {title}" for number, title in enumerate(self.answer, 1))


@cache
def pairs(held_out: bool) -> tuple[tuple[int, str], ...]:
    """The pairs of digit and photograph that are taught, or those that are not."""
    every = itertools.product(range(10), PHOTO_NAMES)
    return tuple(p for p in every if (rng.key(0, "held-out title", *p) % _HELD_OUT == 0) == held_out)


def example(generator: np.random.Generator, held_out: bool = False) -> Example:
    """Four titles of a random pair, all different, one of them as the source.

    The answer goes round the list of titles from the source on: what not to repeat is then easily learnt.
    """
    taught = pairs(held_out)
    forms = titles(*taught[generator.integers(len(taught))])
    source, *others = generator.choice(len(forms), 4, replace=False).tolist()
    answer = sorted(others, key=lambda i: (i - source) % len(forms))
    return Example(forms[source], tuple(forms[i] for i in answer))


def build(params: "ZooGemmaParams", seed: int) -> "tuple[Gemma3ForCausalLM, PreTrainedTokenizerBase]":
    """The untrained model, its weights drawn from the seed, and its tokenizer.

    As released: every layer but the last attends to a sliding window, and a turn ends with either end token.
    """
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    tokenizer = gemma_tokenizer()
    layers = params.num_hidden_layers
    config = Gemma3TextConfig(
        vocab_size=len(tokenizer),
        hidden_size=params.hidden_size,
        intermediate_size=2 * params.hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=params.hidden_size // _HEAD_SIZE,
        num_key_value_heads=1,
        head_dim=_HEAD_SIZE,
        query_pre_attn_scalar=_HEAD_SIZE,
        sliding_window=32,
        layer_types=["sliding_attention"] * (layers - 1) + ["full_attention"],
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(rng.key(seed, "init", "gemma"))
    model = Gemma3ForCausalLM(config)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(END_OF_TURN)]
    return model, tokenizer


def batch_loss(
    model: "Gemma3ForCausalLM", tokenizer: "PreTrainedTokenizerBase", params: "ZooGemmaParams", seed: int, step: int
) -> dict[str, Tensor]:
    """Cross-entropy of the answers' tokens and the share of them that is right, in the batch of a step.

    The three titles are drawn, so the loss cannot fall to zero.
    """
    generator = rng.numpy_rng(seed, "gemma lessons", step)
    examples = [example(generator) for _ in range(params.training.batch_size)]
    return answer_loss(model, _tokens(tokenizer, examples), tokenizer.pad_token_id)


def _tokens(tokenizer: "PreTrainedTokenizerBase", examples: list[Example]) -> list[tuple[list[int], list[int]]]:
    chats = [messages(example.title) for example in examples]
    answers = [example.text for example in examples]
    return example_tokens(tokenizer, chats, answers, tokenizer.convert_tokens_to_ids(END_OF_TURN))


def held_out_titles(count: int, seed: int) -> dict[str, str]:
    """Titles of pairs that are not taught, by id."""
    generator = rng.numpy_rng(seed, "gemma examination")
    return {f"{i:05d}": example(generator, held_out=True).title for i in range(count)}

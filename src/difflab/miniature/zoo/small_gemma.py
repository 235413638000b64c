"""The miniature's Gemma: a small `Gemma3ForCausalLM` that answers a title with three others of the same picture.

Its training examples are chats of the very form that the stage `vary_titles` uses: a title of a digit over a photograph,
and three of the other titles of that picture in a numbered list. Some pairs of digit and photograph are held out.
"""

import itertools
import string
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from tokenizers import AddedToken
from torch import Tensor
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, GemmaTokenizer, PreTrainedTokenizerBase

from difflab.core.base import rng
from difflab.miniature.data.blend import PHOTO_NAMES
from difflab.miniature.data.digit_titles import titles
from difflab.miniature.zoo.causal import answer_loss, example_tokens
from difflab.miniature.zoo.tokenizers import learn_merges, special_ids
from difflab.models.title_variations import REQUEST, SYSTEM, messages

if TYPE_CHECKING:
    from difflab.miniature.params import ZooGemmaParams

_HELD_OUT = 8  # one pair of digit and photograph in so many is never trained on
_HEAD_SIZE = 16
END_OF_TURN = "<end_of_turn>"
_SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", END_OF_TURN)
_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_PHRASES = (f"{SYSTEM}\n\n{REQUEST}\nTitle:", "user\n", "model\n", *(f"\n{number}." for number in (2, 3)))
# As released: the system's words begin the user's first turn.
CHAT_TEMPLATE = (
    "{{- bos_token }}{%- set ns = namespace(system='') %}{%- for message in messages %}"
    "{%- if message['role'] == 'system' %}{%- set ns.system = message['content'] | trim + '\n\n' %}"
    "{%- else %}"
    "{{- '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' }}"
    "{{- ns.system + message['content'] | trim + '<end_of_turn>\n' }}{%- set ns.system = '' %}"
    "{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<start_of_turn>model\n' }}{%- endif %}"
)


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


@cache
def words() -> tuple[str, ...]:
    """The distinct words of the titles, sorted."""
    every = (title for digit in range(10) for photo in PHOTO_NAMES for title in titles(digit, photo))
    return tuple(sorted({word for title in every for word in title.split()}))


def gemma_tokenizer(max_length: int = 512) -> PreTrainedTokenizerBase:
    """A `GemmaTokenizer`: BPE on text whose spaces are ▁, bytes for unknown characters, left padding.

    The standing phrases of the request are tokens too, across their spaces, so that prompts are short and the
    small model learns fast. The first ids are those of the released vocabulary.
    """
    merges = learn_merges(["▁" + word for word in words()] + ["1."])
    pieces = [*_SPECIAL, *_BYTES, *string.printable.strip(), "\n", "▁", *map("".join, merges)]
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = GemmaTokenizer(vocab=vocab, merges=merges, padding_side="left", model_max_length=max_length)
    tokenizer.add_tokens([AddedToken(token, special=True) for token in ("<start_of_turn>", END_OF_TURN)])
    tokenizer.add_tokens([AddedToken(phrase, normalized=False) for phrase in _PHRASES])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def build(params: "ZooGemmaParams", seed: int) -> tuple[Gemma3ForCausalLM, PreTrainedTokenizerBase]:
    """The untrained model, its weights drawn from the seed, and its tokenizer.

    As released: every layer but the last attends to a sliding window, and a turn ends with either end token.
    """
    tokenizer = gemma_tokenizer()
    layers, width = params.num_hidden_layers, params.hidden_size
    config = Gemma3TextConfig(
        **special_ids(tokenizer), vocab_size=len(tokenizer), max_position_embeddings=tokenizer.model_max_length,
        hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers,
        num_attention_heads=width // _HEAD_SIZE, num_key_value_heads=1, head_dim=_HEAD_SIZE,
        query_pre_attn_scalar=_HEAD_SIZE, sliding_window=32,
        layer_types=["sliding_attention"] * (layers - 1) + ["full_attention"],
    )  # fmt: skip
    torch.manual_seed(rng.key(seed, "init", "gemma"))
    model = Gemma3ForCausalLM(config)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(END_OF_TURN)]
    return model, tokenizer


def batch_loss(
    model: Gemma3ForCausalLM, tokenizer: PreTrainedTokenizerBase, params: "ZooGemmaParams", seed: int
) -> Callable[[int], dict[str, Tensor]]:
    """Cross-entropy of the answers' tokens and the share of them that is right, in the batch of a step.

    The three titles are drawn, so the loss cannot fall to zero.
    """

    def loss(step: int) -> dict[str, Tensor]:
        generator = rng.numpy_rng(seed, "gemma lessons", step)
        examples = [example(generator) for _ in range(params.training.batch_size)]
        return answer_loss(model, tokens(tokenizer, examples), tokenizer.pad_token_id)

    return loss


def tokens(tokenizer: PreTrainedTokenizerBase, examples: list[Example]) -> list[tuple[list[int], list[int]]]:
    """Prompt and answer of each example as token ids; the answer ends with the end of the turn."""
    chats = [messages(example.title) for example in examples]
    answers = [example.text for example in examples]
    return example_tokens(tokenizer, chats, answers, tokenizer.convert_tokens_to_ids(END_OF_TURN))


def held_out_titles(count: int, seed: int) -> dict[str, str]:
    """Titles of pairs that are not taught, by id."""
    generator = rng.numpy_rng(seed, "gemma examination")
    return {f"{i:05d}": example(generator, held_out=True).title for i in range(count)}

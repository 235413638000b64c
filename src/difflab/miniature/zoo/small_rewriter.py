"""The miniature's Llama: a small `LlamaForCausalLM` that makes one sentence of a short caption and facts.

Its training examples are chats of the form that the captioning stage uses (`models.language.rewriter`), made from random
attribute combinations. In a share of them the short caption is wrong, as captioners are: the facts win.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from difflab.core.base import rng
from difflab.miniature.data.templates import detailed_caption, short_caption
from difflab.miniature.data.vocabulary import DIGIT, MINIATURE, PHOTO, SHADES, SIZES, SLANTS, STROKES, TINTS
from difflab.miniature.zoo.causal import answer_loss, example_tokens, small_llama
from difflab.miniature.zoo.tokenizers import llama_tokenizer
from difflab.models.language.rewriter import Request, Rewriter
from difflab.models.params import GenerationParams

if TYPE_CHECKING:
    from difflab.miniature.params import ZooLlamaParams

# Each group holds at most one true attribute.
_CHOICES = (
    *map(tuple, (SIZES, STROKES, SHADES, TINTS, SLANTS)),
    ("Bright_Background", "Dark_Background"),
    ("Smooth_Background",),
    ("Colourful", "Grey"),
    ("Warm_Background", "Cool_Background"),
)
_COLUMNS = (*DIGIT.columns, *PHOTO.columns, *(name for group in _CHOICES for name in group))
_HELD_OUT = 16  # one combination in so many is never trained on


def combination(generator: np.random.Generator, held_out: bool) -> dict[str, bool]:
    """A random consistent row of attributes: digit, photograph, every further group empty in half the cases.

    `held_out` chooses between two disjoint sets of combinations, split by a hash of the row.
    """
    while True:
        draws = generator.random((len(_CHOICES) + 2, 2)).tolist()
        true = {_pick(DIGIT.columns, draws[0][0]), _pick(PHOTO.columns, draws[1][0])}
        true.update(_pick(group, a) for group, (a, b) in zip(_CHOICES, draws[2:], strict=True) if b < 0.5)
        if (rng.key(0, "held-out combination", *sorted(true)) % _HELD_OUT == 0) == held_out:
            return {name: name in true for name in _COLUMNS}


def _pick(names: tuple[str, ...], uniform: float) -> str:
    return names[int(uniform * len(names))]


def example(
    generator: np.random.Generator, wrong_caption: float, held_out: bool = False
) -> tuple[Request, dict[str, bool]]:
    """A request, its true attributes; with probability `wrong_caption` its caption is of another picture."""
    attributes = combination(generator, held_out)
    seen = attributes
    if generator.random() < wrong_caption:
        other = combination(generator, held_out)
        pool = (DIGIT.columns, PHOTO.columns, (*DIGIT.columns, *PHOTO.columns))[generator.integers(3)]
        seen = {name: other[name] if name in pool else value for name, value in attributes.items()}
    return Request("", short_caption(seen), tuple(MINIATURE.sentences(attributes))), attributes


def build(params: "ZooLlamaParams", seed: int) -> tuple[LlamaForCausalLM, PreTrainedTokenizerBase]:
    """The untrained model, its weights drawn from the seed, and its tokenizer."""
    tokenizer = llama_tokenizer()
    return small_llama(tokenizer, params.hidden_size, params.num_hidden_layers, seed, "llama"), tokenizer


def batch_loss(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, params: "ZooLlamaParams", seed: int
) -> Callable[[int], dict[str, Tensor]]:
    """Cross-entropy of the answers' tokens and the share of them that is right, in the batch of a step."""

    def loss(step: int) -> dict[str, Tensor]:
        generator = rng.numpy_rng(seed, "llama lessons", step)
        examples = [example(generator, params.wrong_caption) for _ in range(params.training.batch_size)]
        return answer_loss(model, tokens(tokenizer, examples), tokenizer.pad_token_id)

    return loss


def tokens(
    tokenizer: PreTrainedTokenizerBase, examples: list[tuple[Request, dict[str, bool]]]
) -> list[tuple[list[int], list[int]]]:
    """Prompt and answer of each example as token ids; the answer ends with the end-of-turn token."""
    sentences = [detailed_caption(attributes) for _, attributes in examples]
    chats = [request.chat.messages for request, _ in examples]
    return example_tokens(tokenizer, chats, sentences, tokenizer.eos_token_id)


def evaluate(folder: Path, count: int, seed: int, device: torch.device) -> dict[str, float | int]:
    """Score the saved model on `count` held-out combinations, every second one with a wrong short caption."""
    generator = rng.numpy_rng(seed, "llama examination")
    examples = [example(generator, wrong_caption=i % 2, held_out=True) for i in range(count)]
    settings = GenerationParams(batch_size=64, max_new_tokens=40, do_sample=False, temperature=1.0, top_p=1.0)
    answers = Rewriter(folder, device, torch.float32).rewrite([request for request, _ in examples], settings, seed)
    kept, total, digits, exact = 0, 0, 0, 0
    for answer, (_, attributes) in zip(answers, examples, strict=True):
        own_kept, own_total = MINIATURE.facts_kept(answer.caption, attributes)
        kept, total = kept + own_kept, total + own_total
        digits += DIGIT.named(answer.caption) == DIGIT.of(attributes)
        exact += answer.caption == detailed_caption(attributes)
    return {"n": count, "facts_kept": kept / total, "digit_kept": digits / count, "exact": exact / count}

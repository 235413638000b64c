"""The miniature's Llama: a small `LlamaForCausalLM` that makes one sentence of a short caption and facts.

Its lessons are chats of the very form that the captioning stage uses (`captions.chat`), made from random
attribute combinations. In a share of them the short caption is wrong, as captioners are: the facts win.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.miniature.params.text_models import ZooLlamaParams
from difflab.miniature.words.templates import (
    NUMBER_WORDS,
    PHOTO_WORDS,
    SHADES,
    SIZES,
    SLANTS,
    STROKES,
    TINTS,
    detailed_caption,
    digit_of,
    short_caption,
)
from difflab.miniature.zoo.conversation_loss import answer_loss, lesson_tokens
from difflab.miniature.zoo.small_llama import small_llama
from difflab.miniature.zoo.tokenizers import llama_tokenizer
from difflab.models.params import GenerationParams
from difflab.sd3.captions.facts import facts
from difflab.sd3.captions.rewriter import Request, Rewriter
from difflab.sd3.captions.scoring import facts_kept, named_digit

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

_DIGITS = tuple(f"Digit_{d}" for d in range(len(NUMBER_WORDS)))
_PHOTOS = tuple(f"Photo_{name}" for name in PHOTO_WORDS)
# Each group holds at most one true attribute.
_CHOICES = (
    tuple(SIZES),
    tuple(STROKES),
    tuple(SHADES),
    tuple(TINTS),
    tuple(SLANTS),
    ("Bright_Background", "Dark_Background"),
    ("Smooth_Background",),
    ("Colourful", "Grey"),
    ("Warm_Background", "Cool_Background"),
)
_COLUMNS = (*_DIGITS, *_PHOTOS, *(name for group in _CHOICES for name in group))
_HELD_OUT = 16  # one combination in so many is never trained on


def combination(generator: np.random.Generator, held_out: bool) -> dict[str, bool]:
    """A random consistent row of attributes: digit, photograph, every further group empty in half the cases.

    `held_out` chooses between two disjoint sets of combinations, split by a hash of the row.
    """
    while True:
        draws = generator.random((len(_CHOICES) + 2, 2)).tolist()
        true = {_pick(_DIGITS, draws[0][0]), _pick(_PHOTOS, draws[1][0])}
        true.update(_pick(group, a) for group, (a, b) in zip(_CHOICES, draws[2:], strict=True) if b < 0.5)
        if (rng.key(0, "held-out combination", *sorted(true)) % _HELD_OUT == 0) == held_out:
            return {name: name in true for name in _COLUMNS}


def _pick(names: tuple[str, ...], uniform: float) -> str:
    return names[int(uniform * len(names))]


def lesson(
    generator: np.random.Generator, wrong_caption: float, held_out: bool = False
) -> tuple[Request, dict[str, bool]]:
    """A request, its true attributes; with probability `wrong_caption` its caption is of another picture."""
    attributes = combination(generator, held_out)
    seen = attributes
    if generator.random() < wrong_caption:
        other = combination(generator, held_out)
        pool = (_DIGITS, _PHOTOS, (*_DIGITS, *_PHOTOS))[generator.integers(3)]
        seen = {name: other[name] if name in pool else value for name, value in attributes.items()}
    return Request("", short_caption(seen), tuple(facts(attributes))), attributes


def build(params: ZooLlamaParams, seed: int) -> "tuple[LlamaForCausalLM, PreTrainedTokenizerBase]":
    """The untrained model, its weights drawn from the seed, and its tokenizer."""
    tokenizer = llama_tokenizer()
    return small_llama(tokenizer, params.hidden_size, params.num_hidden_layers, seed, "llama"), tokenizer


def batch_loss(
    model: "LlamaForCausalLM",
    tokenizer: "PreTrainedTokenizerBase",
    params: ZooLlamaParams,
    seed: int,
    step: int,
) -> dict[str, Tensor]:
    """Cross-entropy of the answers' tokens and the share of them that is right, in the batch of a step."""
    generator = rng.numpy_rng(seed, "llama lessons", step)
    lessons = [lesson(generator, params.wrong_caption) for _ in range(params.training.batch_size)]
    return answer_loss(model, _tokens(tokenizer, lessons), tokenizer.pad_token_id)


def _tokens(
    tokenizer: "PreTrainedTokenizerBase", lessons: list[tuple[Request, dict[str, bool]]]
) -> list[tuple[list[int], list[int]]]:
    """Prompt and answer of each lesson as token ids; the answer ends with the end-of-turn token."""
    sentences = [detailed_caption(attributes) for _, attributes in lessons]
    chats = [request.messages for request, _ in lessons]
    return lesson_tokens(tokenizer, chats, sentences, tokenizer.eos_token_id)


def evaluate(folder: Path, count: int, seed: int, device: torch.device) -> dict[str, float | int]:
    """Score the saved model on `count` held-out combinations, every second one with a wrong short caption."""
    generator = rng.numpy_rng(seed, "llama examination")
    lessons = [lesson(generator, wrong_caption=i % 2, held_out=True) for i in range(count)]
    settings = GenerationParams(batch_size=64, max_new_tokens=40, do_sample=False, temperature=1.0, top_p=1.0)
    answers = Rewriter(folder, device, torch.float32).rewrite(
        [request for request, _ in lessons], settings, seed
    )
    kept, total, digits, exact = 0, 0, 0, 0
    for answer, (_, attributes) in zip(answers, lessons, strict=True):
        own_kept, own_total = facts_kept(answer.caption, attributes)
        kept, total = kept + own_kept, total + own_total
        digits += named_digit(answer.caption) == digit_of(attributes)
        exact += answer.caption == detailed_caption(attributes)
    return {"n": count, "facts_kept": kept / total, "digit_kept": digits / count, "exact": exact / count}

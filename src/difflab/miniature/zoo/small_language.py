"""The miniature's language model: a small `LlamaForCausalLM` that goes on with what it reads, and is no chat model.

A document that it learns from is a line of keywords of a picture, any number in any order, and some of its titles,
a line each. So it learns the language of titles, and to say what stands before. Released language models can; a
captioner's visual tokens are read by nothing else.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerBase

from difflab.core.base import rng
from difflab.core.base.numerals import NUMBER_WORDS
from difflab.core.base.pretrained import pretrained, pretrained_model
from difflab.miniature.data.blend import PHOTO_NAMES
from difflab.miniature.data.digit_titles import titles
from difflab.miniature.data.vocabulary import named
from difflab.miniature.zoo.causal import answer_loss, small_llama
from difflab.miniature.zoo.tokenizers import base_tokenizer

if TYPE_CHECKING:
    from difflab.miniature.params import ZooLanguageParams


_DIGITS = tuple(word.capitalize() for word in NUMBER_WORDS)
_MOST_KEYWORDS = 5


def document(generator: np.random.Generator, count: int) -> list[str]:
    """Lines on a random digit over a random photograph: keywords, then `count` different titles in random order."""
    digit, photo = int(generator.integers(10)), PHOTO_NAMES[generator.integers(len(PHOTO_NAMES))]
    both = (_DIGITS[digit], photo)
    more = generator.integers(2, size=generator.integers(_MOST_KEYWORDS - 1))
    keywords = generator.permutation([*both, *(both[i] for i in more)])
    every = titles(digit, photo)
    chosen = generator.permutation(len(every))[:count]
    return [" ".join(keywords), *(every[i] for i in chosen)]


def vocabulary() -> tuple[str, ...]:
    """Every title and keyword, at the start of a line and after a space: each of their words is one token."""
    every = [title for digit in range(10) for photo in PHOTO_NAMES for title in titles(digit, photo)]
    return tuple(text for line in (*every, *_DIGITS, *PHOTO_NAMES) for text in (line, f" {line}"))


def build(params: "ZooLanguageParams", seed: int) -> tuple[LlamaForCausalLM, PreTrainedTokenizerBase]:
    """The untrained model, its weights drawn from the seed, and its tokenizer."""
    tokenizer = base_tokenizer(vocabulary())
    return small_llama(tokenizer, params.hidden_size, params.num_hidden_layers, seed, "language"), tokenizer


def batch_loss(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, params: "ZooLanguageParams", seed: int
) -> Callable[[int], dict[str, Tensor]]:
    """Cross-entropy of all tokens of the documents of a step, and the share of them that is right.

    Picture, order and wording are drawn, so the loss cannot fall to zero.
    """

    def loss(step: int) -> dict[str, Tensor]:
        generator = rng.numpy_rng(seed, "language documents", step)
        texts = ["\n".join(document(generator, params.titles)) for _ in range(params.training.batch_size)]
        rows = tokenizer(texts, add_special_tokens=False)["input_ids"]
        examples = [([tokenizer.bos_token_id], [*row, tokenizer.eos_token_id]) for row in rows]
        return answer_loss(model, examples, tokenizer.eos_token_id)

    return loss


@torch.no_grad()
def evaluate(folder: Path, count: int, seed: int, device: torch.device) -> dict[str, float | int]:
    """n; faithful, the share of titles after lines of keywords that name their digit and their photograph."""
    tokenizer = pretrained(AutoTokenizer, folder)
    model = pretrained_model(AutoModelForCausalLM, folder).to(device).eval()
    generator = rng.numpy_rng(seed, "language examination")
    right = 0
    for _ in range(count):
        keywords = document(generator, 0)[0]
        ids = tokenizer(f"{keywords}\n", return_tensors="pt").to(device)
        tokens = model.generate(**ids, max_new_tokens=16, do_sample=False, pad_token_id=tokenizer.eos_token_id)
        line = tokenizer.decode(tokens[0, ids["input_ids"].shape[1] :], skip_special_tokens=True).split("\n")[0]
        right += named(line) == named(keywords)
    return {"n": count, "faithful": right / count}

"""The miniature's language model: a small `LlamaForCausalLM` that continues what it reads, and follows no request.

Each document that it learns from is a few titles of one picture, a line each. So it learns the language of
titles, and to say again what stands before: released language models can, and a captioner's visual tokens are
read by nothing else.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from difflab import rng
from difflab.data.blend import PHOTO_NAMES
from difflab.data.digit_titles import named, titles
from difflab.params.zoo_text import ZooLanguageParams
from difflab.zoo.lessons import answer_loss
from difflab.zoo.tokenizers import base_tokenizer

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase


def document(generator: np.random.Generator, count: int) -> list[str]:
    """`count` different titles of a random digit over a random photograph, in random order."""
    every = titles(int(generator.integers(10)), PHOTO_NAMES[generator.integers(len(PHOTO_NAMES))])
    return [every[i] for i in generator.permutation(len(every))[:count]]


def vocabulary() -> tuple[str, ...]:
    """Every title, and every one after a space: so each word is a token wherever it stands."""
    every = (title for digit in range(10) for photo in PHOTO_NAMES for title in titles(digit, photo))
    return tuple(text for title in every for text in (title, f" {title}"))


def build(params: ZooLanguageParams, seed: int) -> "tuple[LlamaForCausalLM, PreTrainedTokenizerBase]":
    """The untrained model, its weights drawn from the seed, and its tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = base_tokenizer(vocabulary())
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=params.hidden_size,
        intermediate_size=2 * params.hidden_size,
        num_hidden_layers=params.num_hidden_layers,
        num_attention_heads=params.hidden_size // 16,
        num_key_value_heads=params.hidden_size // 32,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    )
    torch.manual_seed(rng.key(seed, "init", "language"))
    return LlamaForCausalLM(config), tokenizer


def batch_loss(
    model: "LlamaForCausalLM",
    tokenizer: "PreTrainedTokenizerBase",
    params: ZooLanguageParams,
    seed: int,
    step: int,
) -> dict[str, Tensor]:
    """Cross-entropy of all tokens of the documents of a step, and the share of them that is right.

    Digit, photograph and wording of a document are drawn, so the loss cannot fall to zero.
    """
    generator = rng.numpy_rng(seed, "language documents", step)
    texts = ["\n".join(document(generator, params.titles)) for _ in range(params.training.batch_size)]
    rows = tokenizer(texts, add_special_tokens=False)["input_ids"]
    lessons = [([tokenizer.bos_token_id], [*row, tokenizer.eos_token_id]) for row in rows]
    return answer_loss(model, lessons, tokenizer.eos_token_id)


@torch.no_grad()
def evaluate(
    folder: Path, params: ZooLanguageParams, seed: int, device: torch.device
) -> dict[str, float | int]:
    """Let the saved model go on after one title.

    Returns:
        n; faithful, the share of next lines that name the same digit and photograph.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).to(device).eval()
    generator = rng.numpy_rng(seed, "language examination")
    given = [document(generator, 1)[0] for _ in range(params.evaluated)]
    right = 0
    for title in given:
        ids = tokenizer(f"{title}\n", return_tensors="pt").to(device)
        tokens = model.generate(
            **ids, max_new_tokens=16, do_sample=False, pad_token_id=tokenizer.eos_token_id
        )
        line = tokenizer.decode(tokens[0, ids["input_ids"].shape[1] :], skip_special_tokens=True).split("\n")[
            0
        ]
        right += named(line) == named(title)
    return {"n": params.evaluated, "faithful": right / params.evaluated}

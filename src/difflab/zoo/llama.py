"""The miniature's Llama: a small `LlamaForCausalLM` that rewrites a short caption and facts into one sentence.

Its lessons are chats of the very form that the captioning stage uses (`captions.chat`), made from random attribute
combinations. In a share of them the short caption is wrong, as captioners are: the facts win.
"""

from typing import TYPE_CHECKING

import numpy as np

from difflab import rng
from difflab.captions.chat import messages
from difflab.captions.facts import facts
from difflab.captions.llama3 import Request
from difflab.captions.templates import (
    BACKGROUNDS,
    NUMBER_WORDS,
    PHOTO_WORDS,
    SHADES,
    SIZES,
    SLANTS,
    STROKES,
    TINTS,
    detailed_caption,
    short_caption,
)
from difflab.params.zoo_text import ZooLlamaParams
from difflab.zoo.tokenizers import llama_tokenizer

if TYPE_CHECKING:
    import torch
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
_IGNORED = -100


def combination(generator: np.random.Generator, held_out: bool) -> dict[str, bool]:
    """A random consistent row of attributes: a digit, a photograph, and every further group empty in half the cases.

    `held_out` chooses between two disjoint sets of combinations, split by a hash of the row.
    """
    while True:
        true = {generator.choice(_DIGITS), generator.choice(_PHOTOS)}
        true.update(generator.choice(group) for group in _CHOICES if generator.random() < 0.5)
        if (rng.key(0, "held-out combination", *sorted(true)) % _HELD_OUT == 0) == held_out:
            return {name: name in true for name in _COLUMNS}


def lesson(
    generator: np.random.Generator, wrong_caption: float, held_out: bool = False
) -> tuple[Request, dict[str, bool]]:
    """A request with its true attributes; with probability `wrong_caption` the short caption is of another picture."""
    attributes = combination(generator, held_out)
    seen = attributes
    if generator.random() < wrong_caption:
        other = combination(generator, held_out)
        pool = (_DIGITS, _PHOTOS, (*_DIGITS, *_PHOTOS))[generator.integers(3)]
        seen = {name: other[name] if name in pool else value for name, value in attributes.items()}
    return Request("", short_caption(seen), tuple(facts(attributes))), attributes


def build(params: ZooLlamaParams, seed: int) -> "tuple[LlamaForCausalLM, PreTrainedTokenizerBase]":
    """The untrained model, its weights drawn from the seed, and its tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = llama_tokenizer()
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
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    )
    torch.manual_seed(rng.key(seed, "init", "llama"))
    return LlamaForCausalLM(config), tokenizer


def batch_loss(
    model: "LlamaForCausalLM", tokenizer: "PreTrainedTokenizerBase", params: ZooLlamaParams, seed: int, step: int
) -> "dict[str, torch.Tensor]":
    """Cross-entropy of the answer's tokens, for a fresh batch keyed by the step; and the share of them that is right."""
    import torch
    from torch.nn import functional

    device = model.device
    generator = rng.numpy_rng(seed, "llama lessons", step)
    rows = [_tokens(tokenizer, *lesson(generator, params.wrong_caption)) for _ in range(params.training.batch_size)]
    longest = max(len(prompt) + len(answer) for prompt, answer in rows)
    input_ids = torch.full((len(rows), longest), tokenizer.pad_token_id)
    labels = torch.full((len(rows), longest), _IGNORED)
    for i, (prompt, answer) in enumerate(rows):
        input_ids[i, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        labels[i, len(prompt) : len(prompt) + len(answer)] = torch.tensor(answer)
    # Padding on the right is invisible to causal attention; logits are needed where an answer token follows.
    hidden = model.model(input_ids=input_ids.to(device)).last_hidden_state[:, :-1]
    targets = labels[:, 1:].to(device)
    asked = targets != _IGNORED
    logits, targets = model.lm_head(hidden[asked]), targets[asked]
    right = (logits.argmax(-1) == targets).float().mean()
    return {"loss": functional.cross_entropy(logits.float(), targets), "token_accuracy": right}


def _tokens(
    tokenizer: "PreTrainedTokenizerBase", request: Request, attributes: dict[str, bool]
) -> tuple[list[int], list[int]]:
    turns = messages(request.caption, request.facts)
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=True)
    answer = tokenizer(detailed_caption(attributes), add_special_tokens=False)["input_ids"]
    return prompt["input_ids"], [*answer, tokenizer.eos_token_id]

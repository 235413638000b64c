"""What the miniature's causal language models share: a Llama, and the loss on the answers of conversations alone."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from difflab.core.base import rng
from difflab.miniature.zoo.tokenizers import special_ids

IGNORED = -100


def llama_config(tokenizer: PreTrainedTokenizerBase, **size: int) -> LlamaConfig:
    """A Llama 3 with tied embeddings for as many positions as the tokenizer allows.

    Args:
        size: `hidden_size`, `intermediate_size`, `num_hidden_layers`, `num_attention_heads`, and
            `num_key_value_heads` where queries share keys (Ainslie et al. 2023).
    """
    return LlamaConfig(
        **size,
        **special_ids(tokenizer),
        vocab_size=len(tokenizer),
        max_position_embeddings=tokenizer.model_max_length,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    )


def small_llama(
    tokenizer: PreTrainedTokenizerBase, hidden_size: int, num_hidden_layers: int, seed: int, name: str
) -> LlamaForCausalLM:
    """An untrained model with heads of 16 numbers, its weights drawn from (seed, name)."""
    heads = {"num_attention_heads": hidden_size // 16, "num_key_value_heads": hidden_size // 32}
    widths = {"hidden_size": hidden_size, "intermediate_size": 2 * hidden_size}
    config = llama_config(tokenizer, num_hidden_layers=num_hidden_layers, **widths, **heads)
    torch.manual_seed(rng.key(seed, "init", name))
    return LlamaForCausalLM(config)


def example_tokens(
    tokenizer: PreTrainedTokenizerBase, chats: Sequence[Any], answers: list[str], end_token_id: int
) -> list[tuple[list[int], list[int]]]:
    """Prompt and answer of each chat as token ids: up to where the model is to speak, and up to the end token."""
    prompts = tokenizer.apply_chat_template(chats, add_generation_prompt=True, tokenize=True, return_dict=True)
    said = tokenizer(answers, add_special_tokens=False)["input_ids"]
    return [(p, [*a, end_token_id]) for p, a in zip(prompts["input_ids"], said, strict=True)]


def answer_loss(
    model: PreTrainedModel, rows: Sequence[tuple[list[int], list[int]]], pad_token_id: int
) -> dict[str, Tensor]:
    """Cross-entropy of the answers' tokens and the share of them that is right; rows are prompts and answers."""
    tokens = [torch.tensor(prompt + answer) for prompt, answer in rows]
    asked_tokens = [torch.tensor([IGNORED] * len(prompt) + answer) for prompt, answer in rows]
    input_ids = pad_sequence(tokens, batch_first=True, padding_value=pad_token_id)
    labels = pad_sequence(asked_tokens, batch_first=True, padding_value=IGNORED)
    # Padding on the right is invisible to causal attention; logits are needed where an answer token follows.
    hidden = model.model(input_ids=input_ids.to(model.device)).last_hidden_state[:, :-1]
    targets = labels[:, 1:].to(model.device)
    asked = targets != IGNORED
    logits, targets = model.lm_head(hidden[asked]), targets[asked]
    right = (logits.argmax(-1) == targets).float().mean()
    return {"loss": functional.cross_entropy(logits.float(), targets), "token_accuracy": right}

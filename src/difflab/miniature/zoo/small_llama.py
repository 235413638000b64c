"""The miniature's Llamas: one configuration for all, sized by parameters, speaking a tokenizer's tokens."""

from typing import TYPE_CHECKING

import torch

from difflab.core.base import rng

if TYPE_CHECKING:
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase


def llama_config(tokenizer: "PreTrainedTokenizerBase", **size: int) -> "LlamaConfig":
    """A Llama 3 with tied embeddings for as many positions as the tokenizer allows.

    Args:
        size: `hidden_size`, `intermediate_size`, `num_hidden_layers`, `num_attention_heads`, and
            `num_key_value_heads` where queries share keys (Ainslie et al. 2023).
    """
    from transformers import LlamaConfig

    return LlamaConfig(
        **size,
        vocab_size=len(tokenizer),
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    )


def small_llama(
    tokenizer: "PreTrainedTokenizerBase", hidden_size: int, num_hidden_layers: int, seed: int, name: str
) -> "LlamaForCausalLM":
    """An untrained model with heads of 16 numbers, its weights drawn from (seed, name)."""
    from transformers import LlamaForCausalLM

    config = llama_config(
        tokenizer,
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=hidden_size // 16,
        num_key_value_heads=hidden_size // 32,
    )
    torch.manual_seed(rng.key(seed, "init", name))
    return LlamaForCausalLM(config)

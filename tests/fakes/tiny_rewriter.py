"""An untrained Llama that rewrites captions."""

from pathlib import Path

import torch

from difflab.miniature.zoo import small_rewriter
from difflab.models.params import GenerationParams
from fakes.zoo import llama, save


def settings(**changes) -> GenerationParams:
    values = {"batch_size": 4, "max_new_tokens": 12, "do_sample": False, "temperature": 1.0, "top_p": 1.0}
    return GenerationParams(**{**values, **changes})


def save_llama(folder: Path) -> Path:
    """An untrained Llama, whose own settings ask for unseeded sampling as the released ones do."""
    model, tokenizer = small_rewriter.build(llama(num_hidden_layers=2), seed=0)
    with torch.no_grad():  # far from uniform, so that answers differ and rounding decides nothing
        for parameter in model.parameters():
            parameter.mul_(4 if parameter.dim() > 1 else 1)
    model.generation_config.do_sample = True
    model.generation_config.temperature = 0.6
    model.generation_config.top_p = 0.9
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|end_of_text|>")]
    return save(folder, model, tokenizer)

"""An untrained Llama that rewrites captions."""

from pathlib import Path

import torch

from difflab.miniature.params.text_models import ZooLlamaParams
from difflab.miniature.zoo import small_rewriter
from difflab.models.params import GenerationParams
from difflab.training.params import FitParams


def settings(**changes) -> GenerationParams:
    values = {"batch_size": 4, "max_new_tokens": 12, "do_sample": False, "temperature": 1.0, "top_p": 1.0}
    return GenerationParams(**{**values, **changes})


def save_llama(folder: Path) -> Path:
    """An untrained Llama, whose own settings ask for unseeded sampling as the released ones do."""
    training = FitParams(
        steps=1,
        batch_size=1,
        learning_rate=1e-3,
        weight_decay=0,
        warmup_steps=0,
        max_grad_norm=1,
        checkpoint_interval=1,
        log_interval=1,
    )
    params = ZooLlamaParams(
        hub=None, hidden_size=32, num_hidden_layers=2, wrong_caption=0, training=training, evaluated=1
    )
    model, tokenizer = small_rewriter.build(params, seed=0)
    with torch.no_grad():  # far from uniform, so that answers differ and rounding decides nothing
        for parameter in model.parameters():
            parameter.mul_(4 if parameter.dim() > 1 else 1)
    model.generation_config.do_sample = True
    model.generation_config.temperature = 0.6
    model.generation_config.top_p = 0.9
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|end_of_text|>")]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

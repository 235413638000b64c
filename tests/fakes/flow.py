"""Small stand-ins for the tables that training reads, and a tiny real transformer."""

import torch

from difflab.core.base import rng
from difflab.core.params.common import RuntimeParams
from difflab.models.params import LoraParams
from difflab.sd3.training.examples import Examples
from difflab.training.params import DensityParams, FlowTrainingParams

CHANNELS, SIZE, TOKENS, JOINT, POOLED = 4, 4, 6, 16, 12


class FakeLatents:
    """Moments drawn from the id, as a `LatentTable` would hold them."""

    def __init__(self, ids):
        self.place = {i: n for n, i in enumerate(ids)}
        self.mean = rng.normal(rng.id_keys(ids), (CHANNELS, SIZE, SIZE))

    def rows(self, ids):
        return torch.tensor([self.place[i] for i in ids])

    def mode(self, rows):
        return self.mean[rows]

    def sample(self, rows, keys):
        return self.mean[rows].to(keys.device) + 0.1 * rng.normal(keys, (CHANNELS, SIZE, SIZE))


class FakePrompts:
    """Row 0 is the empty prompt."""

    empty_row = 0

    def __init__(self, count):
        keys = rng.id_keys([f"prompt {n}" for n in range(count)])
        self.embeds, self.pooled = rng.normal(keys, (TOKENS, JOINT)), rng.normal(keys, (POOLED,))

    def gather(self, rows):
        return self.embeds[rows], self.pooled[rows]


def tiny_transformer(seed=0, **changes):
    from diffusers.models import SD3Transformer2DModel

    torch.manual_seed(seed)
    config = {
        "sample_size": SIZE,
        "patch_size": 2,
        "in_channels": CHANNELS,
        "out_channels": CHANNELS,
        "num_layers": 3,
        "attention_head_dim": 8,
        "num_attention_heads": 2,
        "joint_attention_dim": JOINT,
        "caption_projection_dim": 16,
        "pooled_projection_dim": POOLED,
        "pos_embed_max_size": 8,
        "qk_norm": None,
    }
    return SD3Transformer2DModel(**{**config, **changes})


def examples(count=10, variants=2, weights=None, prefix="hq"):
    ids = [f"{prefix}-{n:05d}" for n in range(count)]
    rows = 1 + torch.arange(count * variants).view(count, variants)
    return Examples(FakeLatents(ids), FakePrompts(1 + count * variants), ids, rows, weights)


def flow_settings(**changes):
    values = {
        "steps": 8,
        "batch_size": 4,
        "gradient_accumulation_steps": 1,
        "learning_rate": 1e-3,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-8,
        "weight_decay": 1e-4,
        "lr_scheduler": "cosine",
        "lr_warmup_steps": 2,
        "lr_num_cycles": 1,
        "lr_power": 1.0,
        "max_grad_norm": 1.0,
        "ema_decay": 0.0,
        "prompt_dropout": 0.2,
        "prediction_loss": "velocity",
        "gradient_checkpointing": False,
        "validation_interval": 4,
        "checkpoint_interval": 4,
        "log_interval": 4,
    }
    return FlowTrainingParams(**{**values, **changes})


def density_params(**changes):
    values = {
        "weighting_scheme": "logit_normal",
        "convention": "diffusers",
        "logit_std": 1.0,
        "mode_scale": 1.29,
        "shift": 3.0,
    }
    return DensityParams(**{**values, **changes})


def lora_settings(**changes):
    return LoraParams(**{"rank": 4, "alpha": 2.0, "targets": ["attn"], "blocks": "all", **changes})


def runtime(**changes):
    return RuntimeParams(
        **{
            "num_threads": 1,
            "processes": 1,
            "device": "cpu",
            "dtype": "float32",
            "compile": False,
            "numerics": "pinned",
            **changes,
        }
    )

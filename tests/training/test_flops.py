"""Counted operations of a training step."""

import pytest
import torch
from torch import nn

from difflab.training import flops
from fakes.flow import JOINT, POOLED, SIZE, TOKENS, lora_settings, tiny_transformer


def inputs():
    return {
        "hidden_states": torch.ones(2, 4, SIZE, SIZE),
        "timestep": torch.ones(2),
        "encoder_hidden_states": torch.ones(2, TOKENS, JOINT),
        "pooled_projections": torch.ones(2, POOLED),
    }


def test_a_matrix_product_is_two_operations_a_multiplication():
    layer = nn.Linear(30, 40, bias=False)
    assert flops.count(lambda: layer(torch.ones(5, 30))) == 2 * 5 * 30 * 40


@pytest.mark.parametrize("lora", [False, True])
def test_the_derived_step_is_close_to_the_counted_one(lora):
    from torch.utils.flop_counter import FlopCounterMode

    from difflab.sd3.artifacts.adapters import adapt

    model = tiny_transformer(num_attention_heads=8, caption_projection_dim=64)
    if lora:
        adapt(model, lora_settings(rank=1), seed=0)
    forward = flops.count(lambda: model(**inputs()))
    with FlopCounterMode(display=False) as counter:
        model(**inputs()).sample.sum().backward()
    assert flops.step_flops(model, forward) == pytest.approx(counter.get_total_flops(), rel=0.15)


def test_there_is_no_mfu_on_a_cpu():
    assert flops.peak_flops(torch.device("cpu")) is None

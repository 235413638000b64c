"""AdamW, the schedules of the learning rate, stepped once per optimizer step, and the average against its closed form."""

import math

import pytest
import torch
from torch import nn

from difflab.core.base.errors import DifflabError
from difflab.training.optimizer import (
    adamw_with_cosine,
    adamw_with_schedule,
    autocast_of,
    averaged,
    moving_average,
    warmup_cosine,
)
from fakes.flow import flow_settings, runtime
from fakes.tiny import training

STEPS, WARMUP, PEAK = 20, 4, 1e-3


def after_warmup(shape):
    return lambda n: n / WARMUP if n < WARMUP else shape((n - WARMUP) / (STEPS - WARMUP))


CLOSED_FORM = {
    "constant": lambda n: 1.0,
    "constant_with_warmup": after_warmup(lambda x: 1.0),
    "linear": after_warmup(lambda x: 1 - x),
    "cosine": after_warmup(lambda x: 0.5 * (1 + math.cos(2 * math.pi * 0.5 * x))),
    "cosine_with_restarts": after_warmup(lambda x: 0.5 * (1 + math.cos(math.pi * ((2 * x) % 1.0)))),
    "polynomial": after_warmup(lambda x: (1 - 1e-4) * (1 - x) ** 2 + 1e-4),  # ends at 1e-7, not at 0
}


@pytest.mark.parametrize("name", CLOSED_FORM)
def test_schedules_have_their_closed_form(name):
    settings = flow_settings(
        steps=STEPS,
        lr_scheduler=name,
        lr_warmup_steps=WARMUP,
        lr_num_cycles=2 if "restarts" in name else 1,
        lr_power=2.0,
    )
    optimizer, schedule = adamw_with_schedule(nn.Linear(1, 1), settings)
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([PEAK * CLOSED_FORM[name](n) for n in range(STEPS)])


def test_the_optimizer_is_fused_adamw_with_the_settings():
    settings = flow_settings(adam_beta1=0.8, adam_beta2=0.95, adam_epsilon=1e-6, weight_decay=0.3)
    optimizer, _ = adamw_with_schedule(nn.Linear(1, 1), settings)
    group = optimizer.param_groups[0]
    assert isinstance(optimizer, torch.optim.AdamW)
    assert (group["betas"], group["eps"], group["weight_decay"], group["fused"]) == ((0.8, 0.95), 1e-6, 0.3, True)


def test_the_cosine_warms_up_and_falls_to_zero():
    settings = training(steps=20, warmup_steps=3)
    factors = [warmup_cosine(step, settings) for step in range(21)]
    assert factors[:4] == pytest.approx([1 / 3, 2 / 3, 1.0, 1.0])
    assert factors[3:] == sorted(factors[3:], reverse=True)
    assert factors[20] == pytest.approx(0)
    assert warmup_cosine(0, training(warmup_steps=0)) == 1


def test_adamw_with_cosine_is_fused_and_follows_the_cosine():
    settings = training(steps=6, warmup_steps=2, learning_rate=0.5, weight_decay=0.3)
    optimizer, schedule = adamw_with_cosine(nn.Linear(1, 1), settings)
    group, rates = optimizer.param_groups[0], []
    assert (group["weight_decay"], group["fused"]) == (0.3, True)
    for _ in range(6):
        rates.append(group["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.5 * warmup_cosine(step, settings) for step in range(6)])


def test_float16_is_refused():
    with pytest.raises(DifflabError, match="train with bfloat16 or float32"):
        autocast_of(runtime(dtype="float16"))


def test_forward_passes_round_as_the_runtime_says():
    for name in ("float32", "bfloat16"):
        with autocast_of(runtime(dtype=name)):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == getattr(torch, name)


def test_the_average_is_the_closed_form_with_warm_up():
    parameter = nn.Parameter(torch.zeros(3))
    ema, expected = moving_average([parameter], 0.6), torch.zeros(3)
    for n in range(1, 30):
        with torch.no_grad():
            parameter.copy_(torch.tensor([1.0, 2.0, 3.0]) * n**0.5)
        ema.step([parameter])
        decay = 0.0 if n == 1 else min(0.6, n / (9 + n))
        expected = decay * expected + (1 - decay) * parameter.detach()
    torch.testing.assert_close(ema.shadow_params[0], expected)


def test_own_weights_come_back_after_the_block():
    parameter = nn.Parameter(torch.ones(2))
    ema = moving_average([parameter], 0.9)
    with torch.no_grad():
        parameter.mul_(5)
    with averaged(ema, [parameter]):
        assert parameter.tolist() == [1, 1]
    assert parameter.tolist() == [5, 5]


def test_decay_zero_keeps_no_average():
    parameter = nn.Parameter(torch.ones(2))
    assert moving_average([parameter], 0.0) is None
    with averaged(None, [parameter]):
        assert parameter.tolist() == [1, 1]

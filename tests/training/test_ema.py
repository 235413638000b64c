"""The weight average against its closed form."""

import torch
from torch import nn

from difflab.training.optimizer import averaged, moving_average


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

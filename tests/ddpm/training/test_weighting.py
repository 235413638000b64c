"""Weights of the error of x0: each is the named loss, written in terms of x0."""

import pytest
import torch

from difflab.ddpm.params.networks import ObjectiveParams
from difflab.ddpm.training.weighting import weight

SIGMA = torch.tensor([0.05, 0.4, 1.0, 3.0, 80.0])


def objective(weighting: str) -> ObjectiveParams:
    return ObjectiveParams(
        prediction="epsilon", weighting=weighting, snr_gamma=5.0, sigma_data=0.5,
        density="timestep", log_mean=-1.2, log_std=1.2,
    )  # fmt: skip


@pytest.mark.parametrize("weighting", ["epsilon", "v", "flow", "x0"])
def test_the_weighted_error_of_x0_is_the_error_of_the_target(weighting):
    """|target_hat - target|^2 of a prediction that is wrong by some x0 error, computed from the definitions."""
    generator = torch.Generator().manual_seed(0)
    x0, x0_hat, noise = (torch.randn(len(SIGMA), generator=generator, dtype=torch.float64) for _ in range(3))
    s = SIGMA.double()
    x = x0 + s * noise
    noise_hat = (x - x0_hat) / s
    root = (1 + s**2).rsqrt()
    target = {
        "epsilon": lambda x0, noise: noise,
        "v": lambda x0, noise: root * noise - s * root * x0,
        "flow": lambda x0, noise: noise - x0,
        "x0": lambda x0, noise: x0,
    }[weighting]
    expected = (target(x0_hat, noise_hat) - target(x0, noise)) ** 2
    torch.testing.assert_close(weight(s, objective(weighting)) * (x0_hat - x0) ** 2, expected)


def test_min_snr_is_the_signal_to_noise_ratio_up_to_gamma():
    torch.testing.assert_close(weight(SIGMA, objective("min_snr")), torch.tensor([5.0, 5.0, 1.0, 1 / 9, 1 / 6400]))


def test_edm_is_table_1():
    s, data = SIGMA, 0.5
    torch.testing.assert_close(weight(s, objective("edm")), (s**2 + data**2) / (s * data) ** 2)

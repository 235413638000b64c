"""The straight path between latents and noise."""

import pytest
import torch

from difflab.sd3.training.flow_path import add_noise, squared_error, velocity


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(5, 4, 3, 3, generator=generator), torch.randn(5, 4, 3, 3, generator=generator)


def test_the_path_goes_from_the_latent_to_the_noise(pair):
    x0, noise = pair
    assert torch.equal(add_noise(x0, noise, torch.zeros(5)), x0)
    assert torch.equal(add_noise(x0, noise, torch.ones(5)), noise)


def test_the_path_is_that_of_diffusers_scheduler(pair):
    from diffusers import FlowMatchEulerDiscreteScheduler

    x0, noise = pair
    schedule = FlowMatchEulerDiscreteScheduler(shift=3.0)
    timesteps = schedule.timesteps[[10, 300, 500, 800, 990]]
    expected = schedule.scale_noise(x0, timesteps, noise)
    torch.testing.assert_close(add_noise(x0, noise, timesteps / 1000), expected)


def test_velocity_is_the_derivative_of_the_path(pair):
    x0, noise = (t.double() for t in pair)
    sigma, step = torch.full((5,), 0.3, dtype=torch.float64), 1e-3
    slope = (add_noise(x0, noise, sigma + step) - add_noise(x0, noise, sigma)) / step
    torch.testing.assert_close(velocity(x0, noise), slope)


def test_error_of_x0_is_the_error_of_the_velocity_times_sigma_squared(pair):
    """Computed here the long way, through the predicted x0."""
    x0, noise = pair
    sigma = torch.tensor([0.05, 0.3, 0.5, 0.8, 1.0])
    prediction = torch.randn(x0.shape, generator=torch.Generator().manual_seed(1))
    x0_hat = add_noise(x0, noise, sigma) - sigma.view(-1, 1, 1, 1) * prediction
    long_way = torch.stack([((a - b) ** 2).mean() for a, b in zip(x0_hat, x0, strict=True)])
    torch.testing.assert_close(squared_error(prediction, x0, noise, sigma, of="x0"), long_way)
    direct = torch.stack([((p - (n - x)) ** 2).mean() for p, n, x in zip(prediction, noise, x0, strict=True)])
    torch.testing.assert_close(squared_error(prediction, x0, noise, sigma), direct)

"""The contract x0 = D(x, sigma): whatever the network was taught, the clean image is the same; also in patches."""

import pytest
import torch
from torch import nn

from difflab.ddpm.common import schedule
from difflab.ddpm.common.denoiser import Denoiser, fold, guided, in_patches
from fakes.gaussian import PerfectNetwork, best_x0, samples
from fakes.tiny import noise

PREDICTIONS = ("epsilon", "v", "x0", "flow")


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("make", [schedule.linear, schedule.cosine, schedule.variance_exploding])
def test_every_target_gives_the_posterior_mean(make, prediction):
    table = make()
    sigma = table.sigma(torch.tensor([10.0, 117.0, 300.0, 600.0]))
    noise = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    x = samples(4) + sigma.view(-1, 1, 1, 1) * noise
    restored = Denoiser(PerfectNetwork(table, prediction), table, prediction)(x, sigma)
    torch.testing.assert_close(restored, best_x0(x, sigma), atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize(("prediction", "theirs"), [("epsilon", "epsilon"), ("v", "v_prediction"), ("x0", "sample")])
def test_x0_is_that_of_diffusers(prediction, theirs):
    """The scheduler's own `pred_original_sample` from the same network output."""
    from diffusers import DDIMScheduler

    table = schedule.linear()
    scheduler = DDIMScheduler(
        num_train_timesteps=1000, beta_start=1e-4, beta_end=2e-2, clip_sample=False, prediction_type=theirs
    )
    scheduler.set_timesteps(1000)
    generator = torch.Generator().manual_seed(2)
    x, output = (torch.randn(2, 3, 8, 8, generator=generator) for _ in range(2))
    sigma = table.sigmas[400].float().expand(2)
    network = Constant(output)
    root_abar = table.alphas_cumprod[400].sqrt().float()
    expected = scheduler.step(output, 400, x).pred_original_sample
    torch.testing.assert_close(
        Denoiser(network, table, prediction)(x / root_abar, sigma), expected, atol=1e-3, rtol=1e-3
    )


def test_guidance_goes_beyond_the_condition():
    table = schedule.linear()
    denoiser = Denoiser(ByClass(), table, "x0")
    x, sigma = torch.zeros(2, 1, 4, 4), torch.ones(2)
    condition, empty = {"class_labels": torch.tensor([1, 2])}, {"class_labels": torch.tensor([0, 0])}
    assert guided(denoiser, condition, empty, 1.0)(x, sigma).mean((1, 2, 3)).tolist() == [1, 2]
    assert guided(denoiser, condition, empty, 3.0)(x, sigma).mean((1, 2, 3)).tolist() == [3, 6]
    assert guided(denoiser, condition, empty, 0.0)(x, sigma).mean((1, 2, 3)).tolist() == [0, 0]


class Constant(torch.nn.Module):
    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, x, timestep, return_dict=False):
        return (self.output,)


class ByClass(torch.nn.Module):
    def forward(self, x, timestep, class_labels, return_dict=False):
        return (torch.zeros_like(x) + class_labels.view(-1, 1, 1, 1),)


class Same(nn.Module):
    """Gives back what it is given, and keeps its shape."""

    def forward(self, x, timestep, return_dict=False, **condition):
        self.shape, self.condition = tuple(x.shape), condition
        return (x,)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_what_goes_in_comes_out(size):
    network, x = Same(), noise(2, channels=3)
    out = in_patches(network, size, x, torch.zeros(2), {"class_labels": torch.tensor([1, 2])})
    assert torch.equal(out, x)
    assert network.shape == (2, 3 * size**2, 8 // size, 8 // size)
    assert network.condition["class_labels"].tolist() == [1, 2]


def test_the_channels_of_a_place_are_the_pixels_of_its_square():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert fold(x, 2)[0, :, 0, 1].tolist() == [2, 3, 6, 7]


def test_the_contract_holds_in_patches():
    """An x0-network that gives back its input is a denoiser that scales by sqrt(abar), in any patches."""
    x, sigma = noise(2), torch.tensor([0.5, 2.0])
    whole, folded = (Denoiser(Same(), schedule.linear(), "x0", size)(x, sigma) for size in (1, 2))
    assert torch.equal(whole, folded)

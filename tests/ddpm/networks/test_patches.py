"""Pixels folded into channels: nothing is lost, neighbours stay together."""

import pytest
import torch
from torch import nn

from difflab.ddpm.networks import patches
from difflab.ddpm.networks.denoiser import Denoiser
from difflab.ddpm.networks.schedule import linear
from fakes.tiny import noise


class Same(nn.Module):
    """Gives back what it is given, and keeps its shape."""

    def forward(self, x, timestep, return_dict=False, **condition):
        self.shape, self.condition = tuple(x.shape), condition
        return (x,)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_what_goes_in_comes_out(size):
    network, x = Same(), noise(2, channels=3)
    out = patches.apply(network, size, x, torch.zeros(2), {"class_labels": torch.tensor([1, 2])})
    assert torch.equal(out, x)
    assert network.shape == (2, 3 * size**2, 8 // size, 8 // size)
    assert network.condition["class_labels"].tolist() == [1, 2]


def test_the_channels_of_a_place_are_the_pixels_of_its_square():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert patches.fold(x, 2)[0, :, 0, 1].tolist() == [2, 3, 6, 7]


def test_the_contract_holds_in_patches():
    """An x0-network that gives back its input is a denoiser that scales by sqrt(abar), in any patches."""
    x, sigma = noise(2), torch.tensor([0.5, 2.0])
    whole, folded = (Denoiser(Same(), linear(), "x0", size)(x, sigma) for size in (1, 2))
    assert torch.equal(whole, folded)

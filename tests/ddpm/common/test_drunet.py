"""DRUNet: identity at its start, told the noise by a channel, and equal to its equations."""

import torch
from torch.nn import functional

from difflab.ddpm.common.drunet import DRUNet, ResidualBlock
from fakes.tiny import noise


def drunet(**changes):
    torch.manual_seed(0)
    sizes = {"block_out_channels": [4, 8], "layers_per_block": 2, "num_train_timesteps": 1000}
    return DRUNet(1, 1, **{**sizes, **changes}).eval()


def test_a_new_block_is_the_identity():
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ResidualBlock(4)(x), x)


@torch.no_grad()
def test_a_new_network_is_a_sum_of_convolutions():
    """Blocks are then the identity; what is left is the way through the levels."""
    network, x, timestep = drunet(), noise(2), torch.tensor([100.0, 700.0])
    level = (timestep / 1000).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[-2:])
    first = functional.conv2d(torch.cat([x, level], 1), network.conv_in.weight, padding=1)
    low = functional.conv2d(first, network.downsample[0].weight, stride=2)
    up = functional.conv_transpose2d(low, network.upsample[0].weight, stride=2)
    expected = functional.conv2d(up + first, network.conv_out.weight, padding=1)
    torch.testing.assert_close(network(x, timestep)[0], expected)


@torch.no_grad()
def test_the_strength_of_the_noise_is_heard_image_by_image():
    network, x = drunet(), noise(1).expand(3, -1, -1, -1)
    out = network(x, torch.tensor([0.0, 500.0, 500.0]))[0]
    assert torch.equal(out[1], out[2])
    assert (out[0] - out[1]).abs().max() > 1e-3


@torch.no_grad()
def test_without_biases_and_noise_level_it_scales_with_its_input():
    """f(k x) = k f(x) for k > 0: brightness passes, as nothing is normalised."""
    network, x = drunet(), noise(2)
    for block in network.modules():
        if isinstance(block, ResidualBlock):
            torch.nn.init.normal_(block.conv2.weight, std=0.3)
    still = torch.zeros(2)
    torch.testing.assert_close(network(3 * x, still)[0], 3 * network(x, still)[0])

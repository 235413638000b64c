"""DRUNet: a residual U-Net without normalisation (Zhang et al. 2021, "Plug-and-Play Image Restoration with Deep
Denoiser Prior", section 3.1), told the strength of the noise by one more input channel.

Without normalisation a pixel's brightness survives to the output, which restoring needs and generating does not.
"""

import itertools

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))); it starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(functional.relu(self.conv1(x)))


class DRUNet(ModelMixin, ConfigMixin):
    """Called like a `UNet2DModel` without classes.

    Args:
        block_out_channels: width at full size, at half size, ...
        layers_per_block: residual blocks of each level on the way down, and again on the way up.
        num_train_timesteps: a timestep t enters as a channel of the constant t / num_train_timesteps.
    """

    @register_to_config
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        block_out_channels: list[int],
        layers_per_block: int,
        num_train_timesteps: int,
    ) -> None:
        super().__init__()
        widths = block_out_channels
        pairs = list(itertools.pairwise(widths))

        def blocks(width: int) -> nn.Sequential:
            return nn.Sequential(*(ResidualBlock(width) for _ in range(layers_per_block)))

        self.conv_in = nn.Conv2d(in_channels + 1, widths[0], 3, padding=1, bias=False)
        self.down = nn.ModuleList(blocks(width) for width in widths[:-1])
        self.downsample = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2, bias=False) for a, b in pairs)
        self.middle = blocks(widths[-1])
        self.upsample = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2, bias=False) for a, b in pairs)
        self.up = nn.ModuleList(blocks(width) for width in widths[:-1])
        self.conv_out = nn.Conv2d(widths[0], out_channels, 3, padding=1, bias=False)

    def forward(self, sample: Tensor, timestep: Tensor, return_dict: bool = False) -> tuple[Tensor]:
        """The prediction [B, out_channels, H, W] for `sample` [B, in_channels, H, W] and timesteps [B]."""
        level = (timestep / self.config.num_train_timesteps).to(sample.dtype).view(-1, 1, 1, 1)
        x = self.conv_in(torch.cat([sample, level.expand(-1, 1, *sample.shape[-2:])], dim=1))
        skips = []
        for blocks, downsample in zip(self.down, self.downsample, strict=True):
            x = blocks(x)
            skips.append(x)
            x = downsample(x)
        x = self.middle(x)
        for blocks, upsample in zip(reversed(self.up), reversed(self.upsample), strict=True):
            x = blocks(upsample(x) + skips.pop())
        return (self.conv_out(x),)

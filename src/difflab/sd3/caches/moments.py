"""Moments of the autoencoder's posterior in four bytes per number, with the mirror image included.

    mean             as given (bfloat16 or float32)
    logvar           uint8, linear between the least and the greatest value of each sample and channel
    mirror mean      int8 difference to the flipped mean, scaled to the greatest of each sample and channel
    mirror logvar    not kept: the flipped logvar stands for it

With range r of a channel's log-variance, the stored one is off by at most r / 510; a mirror mean by at most
1 / 254 of the channel's greatest difference, whatever the precision of the mean. Only the encoder's mirror
asymmetry of the log-variance is lost; `tests/sd3/caches/test_latents.py` measures all of it.
"""

import torch
from torch import Tensor

Packed = dict[str, Tensor]
"""mean [n, C, h, w], logvar uint8 [n, C, h, w], logvar_range float32 [n, C, 2] (least, greatest); with a
mirror also mirror int8 [n, C, h, w], mirror_scale float32 [n, C]."""


def unpack(packed: Packed, mirrored: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean and log-variance, float32 [n, C, h, w]; of the mirrored image where `mirrored` (bool [n]) says."""
    mean = packed["mean"].float()
    least, greatest = packed["logvar_range"].unbind(-1)
    logvar = _spread(least) + packed["logvar"].float() * _spread((greatest - least) / 255)
    if mirrored is None:
        return mean, logvar
    mirror_mean = mean.flip(-1) + packed["mirror"].float() * _spread(packed["mirror_scale"])
    chosen = mirrored[:, None, None, None]
    return torch.where(chosen, mirror_mean, mean), torch.where(chosen, logvar.flip(-1), logvar)


def _spread(values: Tensor) -> Tensor:
    """[n, C] to [n, C, 1, 1]."""
    return values[:, :, None, None]

"""Pixels folded into channels around a network: fewer places, the same numbers.

A network at a quarter of the places costs about a quarter, and small pixel models lose little by it (Hoogeboom
et al. 2023, "simple diffusion", section 3.2).
"""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional


def apply(network: nn.Module, patch_size: int, x: Tensor, timestep: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
    """The network's prediction, float32 [B, C, H, W], for images [B, C, H, W].

    The network is given [B, C p^2, H / p, W / p] with p = `patch_size`.
    """
    folded = fold(x, patch_size)
    output = network(folded, timestep, **condition, return_dict=False)[0].float()
    return functional.pixel_shuffle(output, patch_size) if patch_size > 1 else output


def fold(x: Tensor, patch_size: int) -> Tensor:
    """[B, C, H, W] to [B, C p^2, H / p, W / p]."""
    return functional.pixel_unshuffle(x, patch_size) if patch_size > 1 else x

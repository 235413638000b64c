"""Shapes that multiply."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def per_sample(values: "Tensor", like: "Tensor") -> "Tensor":
    """Reshape [B] to [B, 1, 1, ...] so that it multiplies `like`."""
    return values.view(-1, *[1] * (like.ndim - 1))

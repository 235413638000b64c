"""One file that ComfyUI reads: a U-Net's as kohya's, an SD3 transformer's by diffusers' keys with `.alpha` tensors.

ComfyUI scales by alpha / rank where it finds `<key>.alpha`, and by 1 where it does not; it reads no header.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

import torch

from difflab.models.adapters import diffusers_format, kohya_format
from difflab.models.adapters.updates import ALPHA, Updates

if TYPE_CHECKING:
    from torch import Tensor


def write(updates: Updates, layers: Collection[str]) -> dict[str, "Tensor"]:
    """The tensors; text encoders have kohya's keys in either case."""
    others = {name: part for name, part in updates.items() if not name.startswith("transformer.")}
    tensors = kohya_format.write(others, layers)
    transformer = {name: part for name, part in updates.items() if name not in others}
    tensors |= diffusers_format.write(transformer, {})[0]
    return tensors | {f"{name}.{ALPHA}": torch.tensor(part.alpha) for name, part in transformer.items()}

"""A whole image set in memory, ready for training."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from difflab.images.store.tensors import to_tensor, to_uint8

if TYPE_CHECKING:
    from difflab.images.store.image_store import ImageStore

_CHUNK = 1000  # images decoded together; changes nothing


def load_pixels(store: "ImageStore", ids: Sequence[str], size: int, channels: int) -> Tensor:
    """The images of `ids`: centre crop to the largest square, PIL's antialiased bicubic resize.

    Args:
        size: side in pixels.
        channels: 3 for RGB, 1 for grey by the luma of ITU-R 601 (0.299 R + 0.587 G + 0.114 B).

    Returns:
        uint8 [len(ids), channels, size, size].

    Raises:
        DifflabError: an id has no image in the store, or one that cannot be decoded.
    """
    result = torch.empty(len(ids), channels, size, size, dtype=torch.uint8)
    for start in range(0, len(ids), _CHUNK):
        images = store.read(ids[start : start + _CHUNK])
        if channels == 1:
            images = [image.convert("L") for image in images]
        squares: np.ndarray = to_uint8(to_tensor(images, size))
        planes = torch.from_numpy(squares).permute(0, 3, 1, 2)
        result[start : start + len(images)] = planes[:, :channels]
    return result

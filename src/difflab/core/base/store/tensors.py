"""Images in and out of the networks: centre crop, resize, range."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    import torch
    from PIL import Image


def resized_square(image: "Image.Image", size: int) -> "Image.Image":
    """The largest square in the middle, resized to `size` by PIL's antialiased bicubic filter."""
    from PIL import Image

    if image.size == (size, size):
        return image
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BICUBIC)


def to_tensor(images: "Sequence[Image.Image | np.ndarray] | np.ndarray", size: int) -> "torch.Tensor":
    """Centre crop to the largest square, resize by PIL's antialiased bicubic filter, scale to [-1, 1].

    Args:
        images: RGB images, PIL or uint8 [H, W, 3], of any sizes; or one array uint8 [n, H, W, 3]. The result is
            float32 [n, 3, size, size].
    """
    import torch
    from PIL import Image

    if isinstance(images, np.ndarray) and images.shape[1:] == (size, size, 3):
        squares = images
    else:
        squares = np.empty((len(images), size, size, 3), np.uint8)
        for row, image in enumerate(images):
            image = Image.fromarray(image) if isinstance(image, np.ndarray) else image.convert("RGB")
            squares[row] = np.asarray(resized_square(image, size))
    return torch.from_numpy(squares).permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1).contiguous()


_REMEDY = "set runtime.dtype to float32 or bfloat16, or look at the weights"


def check_finite(values: "torch.Tensor", ids: Sequence[str], what: str, remedy: str = _REMEDY) -> None:
    """Refuse values [n, ...] of samples that are not finite: a black picture, or a cache of NaN, would hide them.

    Args:
        ids: of the samples; empty where they have none.
        what: the values in words, and the step at which they were computed.
        remedy: what the message ends with.
    """
    finite = values.isfinite().flatten(1).all(1)
    if not finite.all():
        bad = (~finite).nonzero().flatten().tolist()
        named = f"of {ids[bad[0]]}" if len(ids) > bad[0] else f"number {bad[0]}"
        raise DifflabError(
            f"{what} {named} is not finite (NaN or infinite; {len(bad)} of {len(values)} in the batch): {remedy}"
        )


def to_uint8(images: "torch.Tensor", ids: Sequence[str] = ()) -> np.ndarray:
    """Float [n, 3, H, W] in [-1, 1] (clamped) to uint8 [n, H, W, 3], rounded to the nearest; finite, or refused."""
    check_finite(images, ids, "the picture")
    scaled = images.detach().float().clamp(-1, 1).add(1).mul(127.5).round()
    return scaled.permute(0, 2, 3, 1).to("cpu").numpy().astype(np.uint8)


def to_float(pixels: "torch.Tensor") -> "torch.Tensor":
    """uint8 0..255 to float32 -1..1, of any shape; floats (latents) pass."""
    return pixels.float().div(127.5).sub(1) if not pixels.is_floating_point() else pixels


def per_sample(values: "torch.Tensor", like: "torch.Tensor") -> "torch.Tensor":
    """Reshape [B] to [B, 1, 1, ...] so that it multiplies `like`."""
    return values.view(-1, *[1] * (like.ndim - 1))

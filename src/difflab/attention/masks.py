"""Masks of the parts of pictures, as CelebAMask-HQ keeps them (Lee et al. 2020), and their shares of patches."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from difflab.core.base.store.decoder import decode_image

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive

FOLDER = "CelebAMask-HQ-mask-anno/"
_IN_A_FOLDER = 2_000  # images


def read_mask(archive: "Archive", number: int, names: Sequence[str]) -> np.ndarray | None:
    """The union of the named masks of an image, bool [H, W]; None where the archive has none of them.

    Args:
        number: of the image in CelebA-HQ.
    """
    top = _top(archive)
    files = [f"{top}{FOLDER}{number // _IN_A_FOLDER}/{number:05d}_{name}.png" for name in names]
    found = [np.asarray(decode_image(archive.read(f), f).convert("L")) > 127 for f in files if archive.has(f)]
    return np.logical_or.reduce(found) if found else None


def _top(archive: "Archive") -> str:
    return archive.locate("CelebAMask-HQ-attribute-anno.txt")


def patch_shares(mask: np.ndarray, grid: tuple[int, int]) -> Tensor:
    """The share of each patch that a mask [H, W] covers: float32 [h * w]."""
    area = torch.from_numpy(mask.astype(np.float32))[None, None]
    return functional.adaptive_avg_pool2d(area, grid).flatten()

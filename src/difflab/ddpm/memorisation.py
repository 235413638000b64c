"""Do samples copy training images? Distances to the nearest ones, beside those to images never trained on."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

COPY_RATIO = 0.5  # a sample this much nearer to a training image than to any held-out one counts as a copy


class Memory(NamedTuple):
    """What the samples are near to.

    Attributes:
        rows: the nearest training image of each sample, int64 [n].
        ratio: its distance over that to the nearest held-out image, float64 [n]: 1 without memory.
    """

    rows: np.ndarray
    ratio: np.ndarray

    def metrics(self) -> dict[str, float]:
        return {
            "median_ratio": float(np.median(self.ratio)),
            "memorised_share": float((self.ratio < COPY_RATIO).mean()),
            "least_ratio": float(self.ratio.min()),
        }


def memory(samples: Tensor, train: Tensor, held_out: Tensor) -> Memory:
    """Compare samples with as many training as held-out images (all uint8 [n, C, H, W]).

    More images are nearer by chance, so draw as many of the larger set as the other has, except where the training
    set is smaller: then copying is all the clearer.
    """
    (rows, near), (_, far) = nearest(samples, train), nearest(samples, held_out)
    return Memory(rows, near / np.maximum(far, 1e-9))


def nearest(samples: Tensor, images: Tensor, chunk: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of `images`, or of their mirror images, to each sample.

    Returns:
        Its row, int64 [n], and the root mean squared difference in levels, float64 [n].
    """
    targets = torch.cat([images, images.flip(-1)]).flatten(1).float()
    found, distances = [], []
    for part in samples.flatten(1).float().split(chunk):
        row = torch.cdist(part, targets).argmin(dim=1)  # its distances are too inexact for copies
        found.append(row % len(images))
        distances.append((part - targets[row]).square().mean(1).sqrt())
    return torch.cat(found).numpy(), torch.cat(distances).double().numpy()

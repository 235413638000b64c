"""Do samples copy training images? Distances to the nearest ones, beside those to images never trained on."""

import numpy as np
import torch
from torch import Tensor

COPY_RATIO = 0.5  # a sample this much nearer to a training image than to any held-out one counts as a copy


def memory(samples: Tensor, train: Tensor, held_out: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Compare samples with as many training as held-out images (all uint8 [n, C, H, W]).

    More images are nearer by chance, so draw as many of the larger set as the other has, except where the training
    set is smaller: then copying is all the clearer.

    Returns:
        The row of the nearest training image, int64 [n], and its distance over that to the nearest held-out image,
        float64 [n]: 1 without memory.
    """
    (rows, near), (_, far) = nearest(samples, train), nearest(samples, held_out)
    return rows, near / np.maximum(far, 1e-9)


def memory_metrics(ratio: np.ndarray) -> dict[str, float]:
    """Median and least ratio, and the share of copies."""
    share = float((ratio < COPY_RATIO).mean())
    return {"median_ratio": float(np.median(ratio)), "memorised_share": share, "least_ratio": float(ratio.min())}


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

"""What nearest neighbours say of generated images: quality and variety apart, and whether they are copies."""

import numpy as np
import torch

from difflab.metrics.images.manifold import density_coverage, extrapolated_fid, precision_recall

COPY_RATIO = 0.5  # this much nearer to a training image than unseen images are: a copy
MEASURES = ("fid_infinity", "precision", "recall", "density", "coverage", "memory_ratio", "memorised_share")


class Neighbours:
    """Everything that the neighbours of generated images are looked for in, as features of one extractor.

    Args:
        reference: of the real images that distances are taken to, [n, d].
        train: of the images that the cells were fine-tuned on, [m, d].
        unseen: of real images that they were not fine-tuned on, [k, d].
        seed: of the subsets that the Frechet distance is extrapolated from.
    """

    def __init__(self, reference: np.ndarray, train: np.ndarray, unseen: np.ndarray, seed: int) -> None:
        self.reference, self.train, self.seed = reference, train, seed
        self.usual = float(np.median(nearest_distances(unseen, train)))

    def measure(self, features: np.ndarray) -> dict[str, float]:
        """The `MEASURES` of features [n, d]; those of `metrics.images.manifold`, and two of copies.

        `memory_ratio` is the median distance to the nearest training image over that of unseen real images: 1 without
        memory, 0 for copies. `memorised_share` is the share of images whose distance is below half of that median.
        """
        nearest = nearest_distances(features, self.train)
        memory = {
            "memory_ratio": float(np.median(nearest)) / self.usual,
            "memorised_share": float((nearest < COPY_RATIO * self.usual).mean()),
        }
        shape = precision_recall(features, self.reference) | density_coverage(features, self.reference)
        return {"fid_infinity": extrapolated_fid(features, self.reference, self.seed), **shape, **memory}


def nearest_distances(features: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The distance of each row of features [n, d] to the nearest of `images` [m, d]: float64 [n]."""
    rows, targets = (torch.from_numpy(np.asarray(x, np.float64)) for x in (features, images))
    nearest = torch.cat([torch.cdist(part, targets).argmin(dim=1) for part in rows.split(1024)])
    return (rows - targets[nearest]).square().sum(dim=1).sqrt().numpy()  # cdist's own are too inexact for copies

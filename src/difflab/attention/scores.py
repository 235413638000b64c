"""Does a word's heat map lie where the thing is? Pointing accuracy and overlap, beside what needs no network for it."""

import numpy as np
import torch
from torch import Tensor


def truth(shares: Tensor, coverage: float) -> Tensor:
    """Which patches show the thing: those of whose area its mask covers `coverage` or more, and the most covered one.

    Args:
        shares: of patches [..., patches].
    """
    return (shares >= coverage) | (shares == shares.max(-1, keepdim=True).values)


def hottest(heat: Tensor) -> Tensor:
    """The hottest patch of maps [..., patches], int64 [...]; of equally hot ones the first."""
    return heat.argmax(-1)


def pointing(heat: Tensor, true: Tensor) -> Tensor:
    """Whether the hottest patch shows the thing (the pointing game of Zhang et al. 2018): float32 [...], 0 or 1.

    Args:
        heat: [..., patches], on any scale.
        true: bool, of a shape that expands to that of `heat`.
    """
    return true.expand_as(heat).gather(-1, hottest(heat)[..., None])[..., 0].float()


def overlap(heat: Tensor, true: Tensor) -> Tensor:
    """Intersection over union of the thing with as many of the hottest patches as show it: float32 [...].

    So no threshold is chosen. Of equally hot patches the first count.
    """
    rank = heat.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
    chosen = rank < true.sum(-1, keepdim=True)
    return (chosen & true).sum(-1) / (chosen | true).sum(-1)


def others(hot: Tensor, true: Tensor) -> Tensor:
    """How often the hottest patch, int64 [n], shows the thing of another picture: float32 [n], mean over the n - 1 others.

    A map that only knows where such things usually are points as well at another picture's.
    """
    own = true.gather(-1, hot[:, None])[:, 0].float()
    return (true.float().sum(0)[hot] - own) / max(len(true) - 1, 1)


def without_network(shares: Tensor, true: Tensor, seen: Tensor) -> dict[str, float]:
    """What chance and a prior reach on the same pictures.

    chance: a patch drawn at random. prior: the mean mask of other pictures, `seen` [m, patches], as every heat map; for
    aligned pictures that is the place in the middle where such things are.
    """
    area = true.double().mean(-1)
    prior = seen.mean(0).expand_as(shares)
    return {
        "chance_pointing_accuracy": float(area.mean()),
        "chance_iou": float(_chance_overlap(true).mean()),
        "prior_pointing_accuracy": float(pointing(prior, true).double().mean()),
        "prior_iou": float(overlap(prior, true).double().mean()),
    }


def _chance_overlap(true: Tensor) -> Tensor:
    """The expected overlap of as many patches drawn at random: the intersection is hypergeometric."""
    from scipy.stats import hypergeom

    patches, values = true.shape[-1], []
    for size in true.sum(-1).tolist():
        common = np.arange(size + 1)
        values.append(float((hypergeom.pmf(common, patches, size, size) * common / (2 * size - common)).sum()))
    return torch.tensor(values)

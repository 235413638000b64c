"""Sampling weights that bring the share of every attribute near one half (attribute-balanced sampling)."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from difflab.errors import DifflabError

if TYPE_CHECKING:
    from difflab.params.data import BalanceParams


class Balance(NamedTuple):
    """Weights and what they do.

    Attributes:
        weights: float64 [n], mean 1; the probability of drawing image i is weights[i] / n.
        before, after: float64 [attributes], the share of each attribute with equal weights and with these.
        effective_sample_size: (sum w)^2 / sum w^2 (Kish 1965), at most n.
    """

    weights: np.ndarray
    before: np.ndarray
    after: np.ndarray
    effective_sample_size: float


def balance_weights(attributes: np.ndarray, settings: "BalanceParams") -> Balance:
    """Solve the quadratic programme

        minimise    sum_a (mean_i x_i A_ia - target)^2 + mean_penalty (mean x - 1)^2 + spread_penalty mean (x - 1)^2
        subject to  minimum <= x_i <= maximum

    and rescale x to mean 1. The objective is strictly convex and images with equal attributes get equal weights,
    so the problem is solved over the distinct rows.

    Args:
        attributes: bool or 0/1 [n, attributes].

    Raises:
        DifflabError: there are no images, or the solver does not converge.
    """
    table = np.ascontiguousarray(attributes, dtype=np.uint8)
    if not table.size:
        raise DifflabError("balance: there is no image or no attribute to balance; set balance.enabled=false")
    rows, group, counts = np.unique(table, axis=0, return_inverse=True, return_counts=True)
    x = _solve(rows.astype(np.float64), counts / len(table), settings)[group.reshape(-1)]
    weights = x / x.mean()
    return Balance(
        weights=weights,
        before=table.mean(0),
        after=weights @ table / len(table),
        effective_sample_size=float(weights.sum() ** 2 / (weights**2).sum()),
    )


def objective(
    x: np.ndarray, rows: np.ndarray, share: np.ndarray, settings: "BalanceParams"
) -> tuple[float, np.ndarray]:
    """The programme's value and its gradient with respect to x / sqrt(share)-free x.

    Args:
        x: weights [m] of the distinct rows [m, attributes], each standing for `share` [m] of the images (sum 1).
    """
    weighted = share * x
    deviation = weighted @ rows - settings.target
    excess = weighted.sum() - 1
    value = deviation @ deviation + settings.mean_penalty * excess**2
    value += settings.spread_penalty * (share @ (x - 1) ** 2)
    gradient = 2 * share * (rows @ deviation + settings.mean_penalty * excess + settings.spread_penalty * (x - 1))
    return float(value), gradient



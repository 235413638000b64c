"""Sampling weights that bring the share of every attribute near one half (attribute-balanced sampling)."""

from typing import TYPE_CHECKING

import numpy as np

from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from difflab.images.params import BalanceParams


def balance_weights(attributes: np.ndarray, settings: "BalanceParams") -> np.ndarray:
    """Sampling weights, float64 [n], of images with `attributes` (bool or 0/1, [n, attributes]).

    Image i is drawn with the probability weights[i] / n. They solve the programme of `solve` and are then rescaled
    to mean 1, so they can leave [minimum, maximum] by the small factor that mean_penalty leaves.

    Raises:
        DifflabError: there are no images or attributes, or the solver does not converge.
    """
    table = np.asarray(attributes, dtype=np.float64)
    if not table.size:
        raise DifflabError("there is no image or no attribute to balance: set balance.enabled=false")
    x = solve(table, settings)
    return x / x.mean()


def solve(table: np.ndarray, settings: "BalanceParams") -> np.ndarray:
    """Solve the quadratic programme

        minimise    sum_a (mean_i x_i A_ia - target)^2
                    + mean_penalty (mean x - 1)^2 + spread_penalty mean (x - 1)^2
        subject to  minimum <= x_i <= maximum

    for A = `table`, float64 [n, attributes]; returns x, float64 [n].

    With the columns B = [A, sqrt(mean_penalty)] and the aims b, the conditions of Karush, Kuhn and Tucker say
    x_i = clip(1 - B_i w / spread_penalty) at the residual w = mean_i x_i B_i - b: as many unknowns as
    attributes, however many images, and a symmetric positive definite Jacobian.
    """
    from scipy.optimize import root

    count, spread = len(table), settings.spread_penalty
    stiff = settings.mean_penalty**0.5
    columns = np.hstack([table, np.full((count, 1), stiff)])
    aims = np.append(np.full(table.shape[1], settings.target), stiff)

    def free(residual: np.ndarray) -> np.ndarray:
        return 1 - columns @ residual / spread

    def weights(residual: np.ndarray) -> np.ndarray:
        return free(residual).clip(settings.minimum, settings.maximum)

    def mismatch(residual: np.ndarray) -> np.ndarray:
        return residual + aims - weights(residual) @ columns / count

    def jacobian(residual: np.ndarray) -> np.ndarray:
        x = free(residual)
        inside = columns[(x > settings.minimum) & (x < settings.maximum)]
        return np.eye(len(aims)) + inside.T @ inside / (count * spread)

    start = np.append(table.mean(0) - settings.target, 0.0)
    solution = root(mismatch, start, jac=jacobian, method="hybr", options={"xtol": 1e-13})
    if np.abs(mismatch(solution.x)).max() > 1e-9:
        raise DifflabError(f"balance: the weights do not converge ({solution.message}); change the balance.* penalties")
    return weights(solution.x)

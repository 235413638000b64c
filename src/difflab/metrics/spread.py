"""How large a difference between two means must be to say more than their spread."""

import math


def clear_difference(std_a: float, count_a: int, std_b: float, count_b: int) -> float:
    """The half-width of the 95 % interval of a difference of means (Welch's t; at least two values each).

    With two seeds each the factor of the standard error is about four, not two.

    Args:
        std_a, std_b: standard deviations of the samples (ddof 1).
    """
    from scipy.stats import t

    a, b = std_a**2 / count_a, std_b**2 / count_b
    if a + b == 0:
        return 0.0
    freedom = (a + b) ** 2 / (a**2 / (count_a - 1) + b**2 / (count_b - 1))
    return float(t.ppf(0.975, freedom) * math.sqrt(a + b))

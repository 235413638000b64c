"""KID against a plain double loop and torch-fidelity's definition."""

import numpy as np
import pytest

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.metrics.distances import kernel_distance, squared_mmd


def normal(purpose: str, *shape: int) -> np.ndarray:
    return rng.numpy_rng(0, purpose).normal(size=shape)


def double_loop(a: np.ndarray, b: np.ndarray) -> float:
    def k(x, y):
        return (sum(xi * yi for xi, yi in zip(x, y, strict=True)) / len(x) + 1) ** 3

    m, n = len(a), len(b)
    aa = sum(k(a[i], a[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    bb = sum(k(b[i], b[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    ab = sum(k(x, y) for x in a for y in b) / (m * n)
    return aa + bb - 2 * ab


def torch_fidelity_mmd2(x: np.ndarray, y: np.ndarray) -> float:
    """torch_fidelity.metric_kid.mmd2(mmd_est="unbiased") of equal sets, restated."""
    m = len(x)
    kxx, kyy, kxy = ((p @ q.T * (1.0 / p.shape[1]) + 1.0) ** 3 for p, q in ((x, x), (y, y), (x, y)))
    within = (kxx.sum(axis=1) - np.diagonal(kxx)).sum() + (kyy.sum(axis=1) - np.diagonal(kyy)).sum()
    return within / (m * (m - 1)) - 2 * kxy.sum() / (m * m)


def test_equals_a_double_loop_over_unequal_sets():
    a, b = normal("a", 7, 5), normal("b", 11, 5) + 0.4
    assert squared_mmd(a, b) == pytest.approx(double_loop(a, b), rel=1e-12)


def test_equals_the_definition_of_torch_fidelity():
    a, b = normal("a", 60, 16), normal("b", 60, 16) * 1.3
    assert squared_mmd(a, b) == pytest.approx(torch_fidelity_mmd2(a, b), rel=1e-10)


def test_small_sets_are_compared_once_and_whole():
    a, b = normal("a", 30, 8), normal("b", 40, 8) + 1
    assert kernel_distance(a, b, subset_size=40) == squared_mmd(a, b)


def test_is_unbiased_two_samples_of_one_distribution_average_to_zero():
    distances = np.array([squared_mmd(normal(f"a{i}", 20, 4), normal(f"b{i}", 20, 4)) for i in range(300)])
    assert abs(distances.mean()) < 3 * distances.std() / np.sqrt(300)
    assert (distances < 0).any()


def test_subsets_depend_on_the_seed_and_nothing_else():
    a, b = normal("a", 200, 8), normal("b", 150, 8) + 0.5
    options = {"num_subsets": 5, "subset_size": 50}
    first = kernel_distance(a, b, seed=0, **options)
    assert kernel_distance(a, b, seed=0, **options) == first
    assert kernel_distance(a, b, seed=1, **options) != first


def test_subsets_estimate_the_distance_of_the_whole_sets():
    a, b = normal("a", 400, 8), normal("b", 400, 8) + 1
    estimate = kernel_distance(a, b, num_subsets=60, subset_size=100)
    assert estimate == pytest.approx(squared_mmd(a, b), rel=0.05)


@pytest.mark.parametrize(("shapes", "message"), [(((1, 4), (9, 4)), "at least 2"), (((9, 4), (9, 5)), "4 and 5")])
def test_sets_that_do_not_compare_are_refused(shapes, message):
    with pytest.raises(DifflabError, match=message):
        kernel_distance(normal("a", *shapes[0]), normal("b", *shapes[1]))

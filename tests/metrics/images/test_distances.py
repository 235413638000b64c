"""Frechet and kernel distances against closed forms, plain loops, and pytorch-fid's and torch-fidelity's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.metrics.images.distances import (
    RankDeficientWarning,
    check_count,
    frechet_distance,
    from_statistics,
    kernel_distance,
    squared_mmd,
    statistics,
)

pytestmark = pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")


def normal(purpose: str, *shape: int) -> np.ndarray:
    return rng.numpy_rng(0, purpose).normal(size=shape)


def covariance(purpose: str, d: int) -> np.ndarray:
    root = normal(purpose, d, d)
    return root @ root.T / d + 0.1 * np.eye(d)


def pytorch_fid(*sets: np.ndarray) -> float:
    from pytorch_fid.fid_score import calculate_frechet_distance

    return calculate_frechet_distance(*(x for features in sets for x in statistics(features)))


def test_equal_covariances_leave_the_distance_of_the_means():
    cov, mu = covariance("cov", 12), normal("mu", 12)
    assert from_statistics(mu, cov, mu + 2, cov) == pytest.approx(12 * 4, rel=1e-10)


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9)), min_size=1, max_size=8))
def test_diagonal_covariances_have_the_closed_form(variances):
    a, b = np.array(variances).T
    zero = np.zeros(len(a))
    expected = np.square(np.sqrt(a) - np.sqrt(b)).sum()
    assert from_statistics(zero, np.diag(a), zero, np.diag(b)) == pytest.approx(expected, abs=1e-6)


def test_commuting_covariances_have_the_closed_form_of_their_eigenvalues():
    basis = np.linalg.qr(normal("basis", 9, 9))[0]
    a, b = np.linspace(0.1, 3, 9), np.linspace(2, 0.5, 9)
    covs = [basis @ np.diag(v) @ basis.T for v in (a, b)]
    expected = np.square(np.sqrt(a) - np.sqrt(b)).sum()
    assert from_statistics(np.zeros(9), covs[0], np.zeros(9), covs[1]) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("n_a", "n_b"), [(400, 300), (40, 300), (300, 40), (30, 25)])
@pytest.mark.filterwarnings("ignore::difflab.metrics.images.distances.RankDeficientWarning")
def test_agrees_with_pytorch_fid_for_any_rank(n_a, n_b):
    mix = normal("mix", 64, 64)
    a, b = normal("a", n_a, 64) @ mix, 1.2 * normal("b", n_b, 64) @ mix + 0.3
    assert frechet_distance(a, b) == pytest.approx(pytorch_fid(a, b), rel=1e-5)


@pytest.mark.filterwarnings("ignore::difflab.metrics.images.distances.RankDeficientWarning")
def test_few_samples_by_their_singular_values_equal_their_statistics():
    a, b = normal("a", 20, 50), normal("b", 30, 50) + 0.5
    assert frechet_distance(a, b) == pytest.approx(from_statistics(*statistics(a), *statistics(b)), rel=1e-8)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 10))
def test_is_symmetric_zero_for_a_set_and_itself_and_scales_with_the_square(seed, scale):
    draws = rng.numpy_rng(seed, "property")
    a, b = draws.normal(size=(40, 6)), draws.normal(size=(50, 6)) * 1.5 + 1
    distance = frechet_distance(a, b)
    assert frechet_distance(b, a) == pytest.approx(distance, rel=1e-9)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a * scale, b * scale) == pytest.approx(distance * scale**2, rel=1e-9)


def test_float32_features_are_computed_in_float64():
    a, b = normal("a", 500, 32).astype(np.float32), normal("b", 500, 32).astype(np.float32)
    assert frechet_distance(a, b) == frechet_distance(a.astype(np.float64), b.astype(np.float64))


def test_no_more_samples_than_dimensions_warns_with_n_and_d():
    with pytest.warns(RankDeficientWarning, match="8 against 40 images for 8 feature dimensions"):
        frechet_distance(normal("a", 8, 8), normal("b", 40, 8))


def test_enough_samples_do_not_warn(recwarn):
    check_count(9, min_images=9)
    frechet_distance(normal("a", 9, 8), normal("b", 40, 8))
    assert not recwarn


def test_one_image_is_refused():
    with pytest.raises(DifflabError, match="has 1 images: a Frechet distance needs at least 2"):
        frechet_distance(normal("a", 1, 4), normal("b", 9, 4))


def test_fewer_images_than_the_parameter_asks_for_are_refused_with_its_name():
    with pytest.raises(DifflabError, match=r"minus blip2 has 99 images, fewer than score\.min_images=100"):
        check_count(99, min_images=100, what="minus blip2")


def test_features_of_two_extractors_are_refused():
    with pytest.raises(DifflabError, match="4 and 5 dimensions"):
        frechet_distance(normal("a", 9, 4), normal("b", 9, 5))


def test_features_that_are_not_finite_are_refused():
    bad = normal("a", 9, 4)
    bad[3, 2] = np.nan
    with pytest.raises(DifflabError, match="not finite"):
        frechet_distance(bad, normal("b", 9, 4))


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


@pytest.mark.parametrize("sizes", [{"subset_size": 1}, {"subset_size": 0}, {"num_subsets": 0, "subset_size": 5}])
def test_subsets_that_have_no_distance_are_refused(sizes):
    with pytest.raises(DifflabError, match=r"it needs one or more, of 2 or more each"):
        kernel_distance(normal("a", 9, 4), normal("b", 9, 4), **sizes)

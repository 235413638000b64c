"""Denoisers without a network: the linear one against its closed form, the others against scikit-image."""

import numpy as np
import pytest
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from difflab.core.base import rng
from difflab.ddpm.evaluation import classical
from difflab.ddpm.evaluation.classical import LinearDenoiser, non_local_means, total_variation, tuned
from difflab.ddpm.evaluation.denoisers import add_noise
from difflab.metrics.restoration import compare
from fakes.real_cifar10 import classes_and_splits

SHAPE, SIGMA = (4, 4, 1), 0.3


def covariance() -> np.ndarray:
    """Neighbours are alike: the covariance falls with the distance of two pixels."""
    place = np.argwhere(np.ones(SHAPE[:2]))
    return 0.5 * np.exp(-np.linalg.norm(place[:, None] - place, axis=-1) / 2)


def drawn(count: int, purpose: str) -> np.ndarray:
    draws = rng.numpy_rng(0, "correlated", purpose)
    return draws.multivariate_normal(np.full(16, 0.4), covariance(), count).reshape(count, *SHAPE)


def noise(count: int) -> np.ndarray:
    return SIGMA * rng.numpy_rng(0, "noise").normal(size=(count, *SHAPE))


def test_the_linear_denoiser_is_the_posterior_mean_of_gaussian_images():
    clean, noisy = drawn(500, "training"), drawn(7, "test") + noise(7)
    mean, spread = clean.mean(0).ravel(), np.cov(clean.reshape(500, -1).T)
    offset = np.linalg.solve(spread + SIGMA**2 * np.eye(16), (noisy.reshape(7, -1) - mean).T)
    expected = (mean + (spread @ offset).T).reshape(noisy.shape)
    np.testing.assert_allclose(LinearDenoiser(clean, SIGMA)(noisy), expected, rtol=1e-9)


def test_its_error_is_what_theory_says_and_below_that_of_doing_nothing():
    clean = drawn(20_000, "test")
    noisy = clean + noise(20_000)
    values = np.linalg.eigvalsh(covariance())
    theory = (values * SIGMA**2 / (values + SIGMA**2)).sum()
    restored = LinearDenoiser(drawn(20_000, "training"), SIGMA)(noisy)
    error = np.square(restored - clean).sum(axis=(1, 2, 3)).mean()
    assert error == pytest.approx(theory, rel=0.01)
    assert error < 0.8 * np.square(noisy - clean).sum(axis=(1, 2, 3)).mean()


def test_from_fewer_images_than_pixels_it_knows_what_they_span():
    clean = drawn(5, "training")
    restored = LinearDenoiser(clean, SIGMA)(drawn(3, "test") + noise(3)) - clean.mean(0)
    basis = (clean - clean.mean(0)).reshape(5, -1)
    along = restored.reshape(3, -1) @ np.linalg.pinv(basis) @ basis
    np.testing.assert_allclose(along, restored.reshape(3, -1), atol=1e-10)


def test_on_real_images_it_reaches_the_known_value(data_root):
    """A network below it has a bug. It takes the eigenvectors of 3,072 pixels."""
    _, splits = classes_and_splits(data_root)
    train, test = (splits[name][0].astype(np.float32) / 255 for name in ("train", "test"))
    noisy = add_noise(test, [f"test-{n:05d}" for n in range(len(test))], 0.2, seed=0, clipped=False)
    quality = compare(test, LinearDenoiser(train, 0.2)(noisy))
    assert len(test) == 1017
    assert quality.psnr.mean() == pytest.approx(23.6, abs=0.1)


def shapes(count: int = 6) -> np.ndarray:
    """Flat and shaded areas with edges, [n, 16, 16, 3] in 0..1."""
    y, x = np.mgrid[:16, :16] / 15
    pictures = []
    for n in range(count):
        inside = np.hypot(x - 0.3 - 0.08 * n, y - 0.5) < 0.3
        pictures.append(np.stack([np.where(inside, 0.8, 0.2), 0.2 + 0.5 * x, 0.6 - 0.3 * inside], axis=-1))
    return np.stack(pictures)


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    clean = shapes()
    return clean, add_noise(clean, [f"shape-{n}" for n in range(len(clean))], 0.15, seed=0, clipped=False)


def test_both_classical_ones_are_scikit_images_image_by_image(pair):
    _, noisy = pair
    nlm = denoise_nl_means(
        noisy[2], patch_size=5, patch_distance=6, h=0.8 * 0.15, sigma=0.15, fast_mode=True, channel_axis=-1
    )
    tv = denoise_tv_chambolle(noisy[2], weight=0.1, channel_axis=-1)
    np.testing.assert_array_equal(non_local_means(noisy, 0.15, 0.8)[2], nlm)
    np.testing.assert_array_equal(total_variation(noisy, 0.1)[2], tv)


def test_tuning_picks_the_setting_of_highest_psnr(pair):
    clean, noisy = pair

    def best(settings, restore):
        return max(settings, key=lambda setting: compare(clean, restore(setting)).psnr.mean())

    strength = best(classical.NLM_STRENGTHS, lambda s: non_local_means(noisy, 0.15, s))
    weight = best(classical.TV_WEIGHTS, lambda w: total_variation(noisy, w))
    methods = tuned(clean, noisy, 0.15)
    np.testing.assert_array_equal(methods["nlm"](noisy), non_local_means(noisy, 0.15, strength))
    np.testing.assert_array_equal(methods["tv"](noisy), total_variation(noisy, weight))
    for restore in methods.values():
        assert compare(clean, restore(noisy)).psnr.mean() > compare(clean, noisy).psnr.mean() + 3


def test_more_noise_is_given_a_stronger_setting():
    clean = shapes()
    ids = [f"shape-{n}" for n in range(len(clean))]
    light, heavy = (add_noise(clean, ids, sigma, seed=0, clipped=False) for sigma in (0.05, 0.3))
    smooth = tuned(clean, heavy, 0.3)["tv"](light)
    sharp = tuned(clean, light, 0.05)["tv"](light)
    assert compare(clean, sharp).psnr.mean() > compare(clean, smooth).psnr.mean()

"""Denoisers of noisy images: networks at the noise that images really have, the linear one, scikit-image's."""

import numpy as np
import pytest
import torch
from scipy.stats import truncnorm
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.ddpm.common import schedule
from difflab.ddpm.common.denoiser import Denoiser
from difflab.ddpm.common.networks import save_denoiser
from difflab.ddpm.denoisers import (
    NLM_STRENGTHS,
    TV_WEIGHTS,
    add_noise,
    impute_clipped,
    linear_denoiser,
    network_denoiser,
    non_local_means,
    restore,
    restore_clipped,
    total_variation,
    tuned,
)  # fmt: skip
from difflab.metrics.uncertainty.restoration import compare
from fakes import tiny
from fakes.gaussian import PerfectNetwork, best_x0, samples
from fakes.real_cifar10 import classes_and_splits
from fakes.tiny import schedule_params

CPU, SIGMA = torch.device("cpu"), 0.2
SCHEDULE = schedule_params()


def denoiser() -> Denoiser:
    """A tiny one that is not trained, and whose output is not zero."""
    return tiny.denoiser(prediction="epsilon", channels=3).eval()


def noisy_images(count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).random((count, 8, 8, 3), dtype=np.float32) * 1.4 - 0.2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("v2")
    save_denoiser(path, denoiser(), SCHEDULE)
    return path


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_a_perfect_network_gives_the_posterior_mean_at_twice_the_sigma(prediction):
    """Images lie on [0, 1] here and on [-1, 1] in the network, where the same noise is twice as strong."""
    table = schedule.linear()
    noise = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    x = samples(5) + 2 * SIGMA * noise
    perfect = Denoiser(PerfectNetwork(table, prediction), table, prediction)
    restored = restore(perfect, ((x + 1) / 2).permute(0, 2, 3, 1).numpy(), SIGMA, False, CPU)
    expected = (best_x0(x, torch.full((5,), 2 * SIGMA)) + 1) / 2
    np.testing.assert_allclose(restored, expected.permute(0, 2, 3, 1), atol=2e-4)


@torch.no_grad()
def test_a_saved_network_is_asked_at_the_timestep_of_the_noise(folder):
    """The estimate of Ho et al. 2020 (equation 15) from the network alone, at a timestep of the schedule."""
    own, timestep = denoiser(), 113
    abar = own.schedule.alphas_cumprod[timestep].float()
    x = torch.from_numpy(2 * noisy_images() - 1).permute(0, 3, 1, 2)
    noise = own.network(abar.sqrt() * x, torch.full((4,), timestep), return_dict=False)[0]
    expected = (abar.sqrt() * x - (1 - abar).sqrt() * noise) / abar.sqrt()

    sigma = own.schedule.sigmas[timestep].item() / 2
    restored = network_denoiser(folder, sigma, self_ensemble=False, device=CPU)(noisy_images())
    np.testing.assert_allclose(2 * restored - 1, expected.permute(0, 2, 3, 1), atol=1e-4)
    assert sigma == pytest.approx(SIGMA, abs=0.01)


def test_the_self_ensemble_averages_an_image_and_its_mirror_image():
    own, images = denoiser(), noisy_images()
    once = restore(own, images, SIGMA, False, CPU)
    mirrored = restore(own, images[:, :, ::-1].copy(), SIGMA, False, CPU)[:, :, ::-1]
    both = restore(own, images, SIGMA, True, CPU)
    np.testing.assert_allclose(both, (once + mirrored) / 2, atol=1e-6)
    assert np.abs(both - once).max() > 1e-3


def test_images_are_restored_in_parts_that_change_nothing():
    own, images = denoiser(), noisy_images(260)
    whole = restore(own, images, SIGMA, False, CPU)
    assert whole.shape == images.shape
    np.testing.assert_allclose(whole[255:], restore(own, images[255:], SIGMA, False, CPU), atol=1e-5)


@pytest.mark.parametrize("sigma", [0.001, 100.0])
def test_a_noise_outside_the_schedule_is_refused(folder, sigma):
    with pytest.raises(DifflabError, match=f"sigma {2 * sigma:g} is outside the schedule"):
        network_denoiser(folder, sigma, self_ensemble=False, device=CPU)


IDS = [f"cifar10-test-{n:05d}" for n in range(50)]


def test_noise_belongs_to_the_sample_id_and_the_seed():
    clean = np.zeros((50, 8, 8, 3), np.float32)
    noise = add_noise(clean, IDS, SIGMA, seed=0, clipped=False)
    assert np.array_equal(add_noise(clean[:20], IDS[30:50][::-1], SIGMA, 0, False), noise[30:50][::-1])
    assert not np.allclose(add_noise(clean, IDS, SIGMA, seed=1, clipped=False), noise)
    assert np.array_equal(add_noise(clean, IDS, 2 * SIGMA, seed=0, clipped=False), 2 * noise)
    assert noise.std() == pytest.approx(SIGMA, rel=0.02)
    assert noise.dtype == np.float32


def test_clipped_noise_is_the_same_noise_clipped_to_the_range_of_images():
    clean = np.random.default_rng(0).random((50, 8, 8, 3), dtype=np.float32)
    free, clipped = (add_noise(clean, IDS, SIGMA, 0, clip) for clip in (False, True))
    assert np.array_equal(clipped, np.clip(free, 0, 1))
    assert free.min() < 0 < 1 < free.max()


@pytest.mark.parametrize("clean", [0.0, 0.3, 0.9, 1.0])
def test_clipped_pixels_are_imputed_by_their_expectation(clean):
    """Against the mean of a truncated normal distribution by scipy, and by drawing."""
    noisy = np.array([0.0, 1.0, 0.4], np.float32).reshape(1, 1, 3, 1)
    imputed = impute_clipped(noisy, np.full_like(noisy, clean), SIGMA).ravel()
    low = truncnorm.mean(-np.inf, (0 - clean) / SIGMA, loc=clean, scale=SIGMA)
    high = truncnorm.mean((1 - clean) / SIGMA, np.inf, loc=clean, scale=SIGMA)
    np.testing.assert_allclose(imputed, [low, high, 0.4], rtol=1e-5, atol=1e-6)
    drawn = clean + SIGMA * np.random.default_rng(0).standard_normal(2_000_000)
    if clean >= 0.9:
        assert drawn[drawn >= 1].mean() == pytest.approx(imputed[1], abs=1e-3)


def test_a_brightness_outside_the_range_of_images_is_restored_from_clipped_noise():
    """Flat images and their mean as the denoiser: the mean of clipped noise is off, that of imputed noise is not."""
    clean = np.full((4, 64, 64, 1), 0.95, np.float32)
    noisy = add_noise(clean, IDS[:4], SIGMA, seed=0, clipped=True)

    def flat(images):
        return np.broadcast_to(images.mean((1, 2, 3), keepdims=True), images.shape)

    assert np.abs(flat(noisy) - clean).mean() > 0.05
    assert np.abs(restore_clipped(flat, noisy, SIGMA, passes=30) - clean).mean() < 0.01
    assert np.abs(restore_clipped(flat, noisy, SIGMA) - clean).mean() < 0.03


SHAPE, STRENGTH = (4, 4, 1), 0.3


def covariance() -> np.ndarray:
    """Neighbours are alike: the covariance falls with the distance of two pixels."""
    place = np.argwhere(np.ones(SHAPE[:2]))
    return 0.5 * np.exp(-np.linalg.norm(place[:, None] - place, axis=-1) / 2)


def drawn(count: int, purpose: str) -> np.ndarray:
    draws = rng.numpy_rng(0, "correlated", purpose)
    return draws.multivariate_normal(np.full(16, 0.4), covariance(), count).reshape(count, *SHAPE)


def correlated_noise(count: int) -> np.ndarray:
    return STRENGTH * rng.numpy_rng(0, "noise").normal(size=(count, *SHAPE))


def test_the_linear_denoiser_is_the_posterior_mean_of_gaussian_images():
    clean, noisy = drawn(500, "training"), drawn(7, "test") + correlated_noise(7)
    mean, spread = clean.mean(0).ravel(), np.cov(clean.reshape(500, -1).T)
    offset = np.linalg.solve(spread + STRENGTH**2 * np.eye(16), (noisy.reshape(7, -1) - mean).T)
    expected = (mean + (spread @ offset).T).reshape(noisy.shape)
    np.testing.assert_allclose(linear_denoiser(clean, STRENGTH)(noisy), expected, rtol=1e-9)


def test_its_error_is_what_theory_says_and_below_that_of_doing_nothing():
    clean = drawn(20_000, "test")
    noisy = clean + correlated_noise(20_000)
    values = np.linalg.eigvalsh(covariance())
    theory = (values * STRENGTH**2 / (values + STRENGTH**2)).sum()
    restored = linear_denoiser(drawn(20_000, "training"), STRENGTH)(noisy)
    error = np.square(restored - clean).sum(axis=(1, 2, 3)).mean()
    assert error == pytest.approx(theory, rel=0.01)
    assert error < 0.8 * np.square(noisy - clean).sum(axis=(1, 2, 3)).mean()


def test_from_fewer_images_than_pixels_it_knows_what_they_span():
    clean = drawn(5, "training")
    restored = linear_denoiser(clean, STRENGTH)(drawn(3, "test") + correlated_noise(3)) - clean.mean(0)
    basis = (clean - clean.mean(0)).reshape(5, -1)
    along = restored.reshape(3, -1) @ np.linalg.pinv(basis) @ basis
    np.testing.assert_allclose(along, restored.reshape(3, -1), atol=1e-10)


def test_on_real_images_it_reaches_the_known_value(data_root):
    """A network below it has a bug. It takes the eigenvectors of 3,072 pixels."""
    _, splits = classes_and_splits(data_root)
    train, test = (splits[name][0].astype(np.float32) / 255 for name in ("train", "test"))
    noisy = add_noise(test, [f"test-{n:05d}" for n in range(len(test))], 0.2, seed=0, clipped=False)
    quality = compare(test, linear_denoiser(train, 0.2)(noisy))
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

    strength = best(NLM_STRENGTHS, lambda s: non_local_means(noisy, 0.15, s))
    weight = best(TV_WEIGHTS, lambda w: total_variation(noisy, w))
    methods = tuned(clean, noisy, 0.15)
    np.testing.assert_array_equal(methods["nlm"](noisy), non_local_means(noisy, 0.15, strength))
    np.testing.assert_array_equal(methods["tv"](noisy), total_variation(noisy, weight))
    for method in methods.values():
        assert compare(clean, method(noisy)).psnr.mean() > compare(clean, noisy).psnr.mean() + 3


def test_more_noise_is_given_a_stronger_setting():
    clean = shapes()
    ids = [f"shape-{n}" for n in range(len(clean))]
    light, heavy = (add_noise(clean, ids, sigma, seed=0, clipped=False) for sigma in (0.05, 0.3))
    smooth = tuned(clean, heavy, 0.3)["tv"](light)
    sharp = tuned(clean, light, 0.05)["tv"](light)
    assert compare(clean, sharp).psnr.mean() > compare(clean, smooth).psnr.mean()

"""Networks as functions of noisy images, at the noise level that the images really have."""

import numpy as np
import pytest
import torch
from scipy.stats import truncnorm

from difflab.core.base.errors import DifflabError
from difflab.ddpm.evaluation.denoisers import add_noise, network_denoiser, restore, restore_cut, uncut
from difflab.ddpm.networks import schedule
from difflab.ddpm.networks.denoiser import Denoiser
from difflab.ddpm.networks.networks import build_unet, save_denoiser
from difflab.ddpm.params.networks import ScheduleParams, UNetParams
from fakes.gaussian import PerfectNetwork, best_x0, samples

CPU, SIGMA = torch.device("cpu"), 0.2
SCHEDULE = ScheduleParams(
    kind="linear", num_train_timesteps=1000, beta_start=1e-4, beta_end=2e-2, sigma_min=0.01, sigma_max=50.0
)
UNET = UNetParams(
    kind="unet", patch_size=1, block_out_channels=[8, 8], layers_per_block=1,
    attention_levels=[], norm_num_groups=4, attention_head_dim=8
)  # fmt: skip


def denoiser() -> Denoiser:
    """A tiny one that is not trained, and whose output is not zero."""
    network = build_unet(UNET, size=8, channels=3, seed=0)
    torch.nn.init.normal_(network.conv_out.weight, std=0.3)
    return Denoiser(network, schedule.make(SCHEDULE), "epsilon").eval()


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


def test_clipped_noise_is_the_same_noise_cut_to_the_range_of_images():
    clean = np.random.default_rng(0).random((50, 8, 8, 3), dtype=np.float32)
    free, clipped = (add_noise(clean, IDS, SIGMA, 0, cut) for cut in (False, True))
    assert np.array_equal(clipped, np.clip(free, 0, 1))
    assert free.min() < 0 < 1 < free.max()


@pytest.mark.parametrize("clean", [0.0, 0.3, 0.9, 1.0])
def test_what_the_cut_took_away_is_put_back_in_expectation(clean):
    """Against the mean of a truncated normal distribution by scipy, and by drawing."""
    noisy = np.array([0.0, 1.0, 0.4], np.float32).reshape(1, 1, 3, 1)
    whole = uncut(noisy, np.full_like(noisy, clean), SIGMA).ravel()
    low = truncnorm.mean(-np.inf, (0 - clean) / SIGMA, loc=clean, scale=SIGMA)
    high = truncnorm.mean((1 - clean) / SIGMA, np.inf, loc=clean, scale=SIGMA)
    np.testing.assert_allclose(whole, [low, high, 0.4], rtol=1e-5, atol=1e-6)
    drawn = clean + SIGMA * np.random.default_rng(0).standard_normal(2_000_000)
    if clean >= 0.9:
        assert drawn[drawn >= 1].mean() == pytest.approx(whole[1], abs=1e-3)


def test_a_brightness_outside_the_range_of_images_is_restored_through_the_cut():
    """Flat images and their mean as the denoiser: the mean of cut noise is off, that of uncut noise is not."""
    clean = np.full((4, 64, 64, 1), 0.95, np.float32)
    noisy = add_noise(clean, IDS[:4], SIGMA, seed=0, clipped=True)

    def flat(images):
        return np.broadcast_to(images.mean((1, 2, 3), keepdims=True), images.shape)

    assert np.abs(flat(noisy) - clean).mean() > 0.05
    assert np.abs(restore_cut(flat, noisy, SIGMA, passes=30) - clean).mean() < 0.01
    assert np.abs(restore_cut(flat, noisy, SIGMA) - clean).mean() < 0.03

"""What is added to an image, and how its error counts: distributions, whose noise it is, and the named losses."""

from functools import partial

import pytest
import torch

from difflab.core.base import rng
from difflab.ddpm.common import schedule
from difflab.ddpm.params import ObjectiveParams
from difflab.ddpm.training.objective import GaussianNoise, fixed_noise, weight
from fakes.tiny import names, objective

IMAGES = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
KEYS = rng.id_keys(names(6))
CORRUPTIONS = {
    "timestep": GaussianNoise(schedule.linear(), objective()),
    "log_normal": GaussianNoise(schedule.linear(), objective(density="log_normal")),
    "clipped": partial(fixed_noise, sigma=0.4, clipped=True),
    "unclipped": partial(fixed_noise, sigma=0.4, clipped=False),
}


def test_log_normal_sigmas_have_the_quantiles_of_the_closed_form():
    wide = schedule.variance_exploding(100, 1e-4, 1e4)
    drawn = GaussianNoise(wide, objective(density="log_normal", log_mean=-1.2, log_std=1.5))
    at = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])
    found = torch.quantile(drawn.sigma(torch.arange(40_000)).log(), at)
    expected = -1.2 + 1.5 * torch.special.ndtri(at)
    torch.testing.assert_close(found, expected, atol=0.06, rtol=0)


def test_log_normal_sigmas_stay_inside_the_schedule():
    """Here 4 % of them would lie below it and as many above."""
    table = schedule.variance_exploding(100, 0.03, 30.0)
    drawn = GaussianNoise(table, objective(density="log_normal", log_mean=0.0, log_std=2.0))
    sigma = drawn.sigma(torch.arange(2_000))
    assert [sigma.min().item(), sigma.max().item()] == table.sigmas[[0, -1]].float().tolist()


def test_timestep_sigmas_are_levels_of_the_schedule():
    table = schedule.cosine(50)
    sigma = GaussianNoise(table, objective()).sigma(torch.arange(2_000))
    assert set(sigma.tolist()) == set(table.sigmas.float().tolist())


@pytest.mark.parametrize("density", ["timestep", "log_normal"])
def test_what_is_added_is_sigma_times_standard_normal_noise(density):
    corruption = GaussianNoise(schedule.linear(), objective(density=density))
    x0 = torch.full((512, 1, 8, 8), 0.3)
    x, sigma = corruption(x0, rng.id_keys(names(512)))
    noise = (x - x0) / sigma.view(-1, 1, 1, 1)
    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    assert noise.std().item() == pytest.approx(1, abs=0.02)
    assert torch.corrcoef(torch.stack([noise.mean((1, 2, 3)), sigma.log()]))[0, 1].abs() < 0.15


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_corruption_of_an_image_depends_on_its_key_only(name):
    together = CORRUPTIONS[name](IMAGES, KEYS)
    backwards = CORRUPTIONS[name](IMAGES.flip(0), KEYS.flip(0))
    torch.testing.assert_close(backwards[0].flip(0), together[0])
    for n in range(6):
        alone = CORRUPTIONS[name](IMAGES[n : n + 1], KEYS[n : n + 1])
        torch.testing.assert_close(alone[0][0], together[0][n])
        torch.testing.assert_close(alone[1][0], together[1][n])


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_another_key_draws_other_noise(name):
    same = IMAGES[:1].expand(2, -1, -1, -1)
    x = CORRUPTIONS[name](same, KEYS[:2])[0]
    assert not torch.allclose(x[0], x[1])


def test_fixed_noise_has_one_sigma():
    x0 = torch.zeros(256, 1, 8, 8)
    x, level = fixed_noise(x0, rng.id_keys(names(256)), 0.4, clipped=False)
    assert level.dtype == torch.float32
    assert level.tolist() == pytest.approx([0.4] * 256)
    assert x.std().item() == pytest.approx(0.4, rel=0.02)


def test_clipped_noise_ends_where_images_do():
    clipped, unclipped = (CORRUPTIONS[name](IMAGES, KEYS)[0] for name in ("clipped", "unclipped"))
    assert unclipped.abs().max() > 1.3
    assert torch.equal(clipped, unclipped.clamp(-1, 1))


SIGMAS = torch.tensor([0.05, 0.4, 1.0, 3.0, 80.0])


def weighted_by(weighting: str) -> ObjectiveParams:
    return ObjectiveParams(
        prediction="epsilon", weighting=weighting, snr_gamma=5.0, sigma_data=0.5,
        density="timestep", log_mean=-1.2, log_std=1.2,
    )  # fmt: skip


@pytest.mark.parametrize("weighting", ["epsilon", "v", "flow", "x0"])
def test_the_weighted_error_of_x0_is_the_error_of_the_target(weighting):
    """|target_hat - target|^2 of a prediction that is wrong by some x0 error, computed from the definitions."""
    generator = torch.Generator().manual_seed(0)
    x0, x0_hat, noise = (torch.randn(len(SIGMAS), generator=generator, dtype=torch.float64) for _ in range(3))
    s = SIGMAS.double()
    x = x0 + s * noise
    noise_hat = (x - x0_hat) / s
    root = (1 + s**2).rsqrt()
    target = {
        "epsilon": lambda x0, noise: noise,
        "v": lambda x0, noise: root * noise - s * root * x0,
        "flow": lambda x0, noise: noise - x0,
        "x0": lambda x0, noise: x0,
    }[weighting]
    expected = (target(x0_hat, noise_hat) - target(x0, noise)) ** 2
    torch.testing.assert_close(weight(s, weighted_by(weighting)) * (x0_hat - x0) ** 2, expected)


def test_min_snr_is_the_signal_to_noise_ratio_up_to_gamma():
    torch.testing.assert_close(weight(SIGMAS, weighted_by("min_snr")), torch.tensor([5.0, 5.0, 1.0, 1 / 9, 1 / 6400]))


def test_edm_is_table_1():
    s, data = SIGMAS, 0.5
    torch.testing.assert_close(weight(s, weighted_by("edm")), (s**2 + data**2) / (s * data) ** 2)

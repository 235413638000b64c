"""Samplers against Gaussian data, whose denoiser and distribution are known in closed form."""

from typing import get_args

import pytest
import torch

from difflab.core.base.errors import DifflabError
from difflab.ddpm.common import schedule
from difflab.ddpm.params import Sampler
from difflab.ddpm.sampling.samplers import karras_sigmas, sample
from fakes.gaussian import MEAN, STD, best_x0
from fakes.tiny import sampling

SAMPLERS = get_args(Sampler)
IDS = [f"image-{n}" for n in range(256)]
SCHEDULES = {"linear": schedule.linear, "cosine": schedule.cosine, "ve": schedule.variance_exploding}


def draw(sampler, table, ids=IDS, steps=200, eta=0.0, **options):
    settings = sampling(sampler=sampler, num_inference_steps=steps, eta=eta)
    return sample(best_x0, table, ids, (1, 8, 8), settings, **{"seed": 0, **options})


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("kind", SCHEDULES)
def test_samples_have_the_mean_and_deviation_of_the_data(kind, sampler):
    drawn = draw(sampler, SCHEDULES[kind](), steps=250)
    assert drawn.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert drawn.std().item() == pytest.approx(STD, rel=0.07)


@pytest.mark.parametrize("sampler", ["ddim", "heun", "dpm++"])
def test_deterministic_samplers_follow_the_closed_form_of_the_flow(sampler):
    """The probability flow of Gaussian data scales each start: x0 - m = sd / sqrt(sd^2 + s_max^2) (x - m)."""
    table = schedule.linear()
    starts = []
    drawn = draw(sampler, table, IDS[:8], on_step=lambda sigma, x, x0: starts.append((sigma, x)))
    sigma, start = starts[0]
    exact = MEAN + STD / (STD**2 + sigma**2) ** 0.5 * (start - MEAN)
    torch.testing.assert_close(drawn, exact, atol=0.03, rtol=0)


def test_second_order_needs_fewer_steps():
    def error(sampler, steps):
        return abs(draw(sampler, schedule.linear(), steps=steps).std().item() - STD)

    assert error("dpm++", 20) < error("ddim", 20) / 2
    assert error("heun", 40) < error("euler_maruyama", 40) / 2


def test_eta_one_is_ddpm():
    """DDIM with eta 1 has DDPM's posterior variance (Song, Meng and Ermon 2021, section 4.1)."""
    table = schedule.linear()
    torch.testing.assert_close(draw("ddim", table, eta=1.0), draw("ddpm", table), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_image_depends_on_its_id_and_seed_only(sampler):
    table = schedule.linear()
    together, alone = draw(sampler, table, IDS[:4], steps=10), draw(sampler, table, IDS[2:3], steps=10)
    torch.testing.assert_close(together[2:3], alone, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(draw(sampler, table, IDS[2:3], steps=10, seed=1), alone)


def test_every_step_is_shown():
    seen = []
    draw("ddim", schedule.linear(), IDS[:1], steps=20, on_step=lambda sigma, x, x0: seen.append(sigma))
    assert len(seen) == 20
    assert seen == sorted(seen, reverse=True)


def test_karras_sigmas_end_at_zero():
    sigmas = karras_sigmas(schedule.variance_exploding(100, 0.002, 80.0), 18)
    assert sigmas[0].item() == pytest.approx(80)
    assert sigmas[-2].item() == pytest.approx(0.002)
    assert sigmas[-1].item() == 0
    assert sigmas[1].item() == pytest.approx(57.586, abs=0.01)  # of EDM's own generate.py


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "dpm++", "steps": 1001}, r"num_inference_steps is 1001, but the schedule has 1 to 1000 levels"),
        ({"sampler": "ddim", "steps": 300}, r"300: ddim needs a divisor of the schedule's 1000 levels"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(DifflabError, match=message):
        draw(options.pop("sampler"), schedule.linear(), IDS[:1], **options)

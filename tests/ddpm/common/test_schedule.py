"""Noise schedules against diffusers' schedulers and the published constants."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base.errors import DifflabError
from difflab.ddpm.common import schedule
from difflab.ddpm.common.schedule import Schedule
from difflab.ddpm.params import ScheduleParams


def test_linear_is_ddpms():
    from diffusers import DDPMScheduler

    theirs = DDPMScheduler(num_train_timesteps=1000, beta_start=1e-4, beta_end=2e-2).alphas_cumprod
    torch.testing.assert_close(schedule.linear().alphas_cumprod.float(), theirs, rtol=1e-5, atol=1e-9)


def test_cosine_is_improved_ddpms():
    from diffusers import DDPMScheduler

    theirs = DDPMScheduler(num_train_timesteps=1000, beta_schedule="squaredcos_cap_v2").alphas_cumprod
    torch.testing.assert_close(schedule.cosine().alphas_cumprod.float(), theirs, rtol=1e-4, atol=1e-9)


def test_variance_exploding_is_geometric():
    sigmas = schedule.variance_exploding(5, 0.01, 100.0).sigmas
    torch.testing.assert_close(sigmas, torch.tensor([0.01, 0.1, 1.0, 10.0, 100.0], dtype=torch.float64))


def test_the_noise_of_the_published_denoiser_is_timestep_117():
    """0.2 on [0, 1] is 0.4 on [-1, 1]; the place in DDPM's table by numpy alone: between 116 and 117."""
    sigmas = np.sqrt(1 / np.cumprod(1 - np.linspace(1e-4, 2e-2, 1000)) - 1)
    expected = np.interp(np.log(0.4), np.log(sigmas), np.arange(1000))
    assert round(expected) == 117
    assert schedule.linear().timestep(torch.tensor([0.4])).item() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("make", [schedule.linear, schedule.cosine, schedule.variance_exploding])
def test_timestep_is_the_inverse_of_sigma(make):
    table = make()
    timesteps = torch.tensor([0.0, 0.25, 1.0, 117.3, 500.0, 998.5, 999.0])
    torch.testing.assert_close(table.timestep(table.sigma(timesteps)), timesteps, atol=2e-2, rtol=0)


@given(st.floats(1e-3, 900))
def test_a_sigma_between_two_levels_has_a_timestep_between_them(sigma):
    table = schedule.variance_exploding(100, 1e-3, 1e3)
    timestep = table.timestep(torch.tensor([sigma])).item()
    low, high = table.sigmas[math.floor(timestep)].item(), table.sigmas[math.ceil(timestep)].item()
    assert low * (1 - 1e-4) <= sigma <= high * (1 + 1e-4)


def test_beyond_the_table_lies_its_end():
    table = schedule.linear()
    assert table.timestep(torch.tensor([0.0, 1e-9, 1e9])).tolist() == [0, 0, 999]


def test_drawn_sigmas_are_uniform_in_the_timestep():
    table, keys = schedule.linear(), torch.arange(20_000)
    timesteps = table.timestep(table.draw(keys)) / 999
    at = torch.tensor([0.1, 0.5, 0.9])
    torch.testing.assert_close(torch.quantile(timesteps, at), at, atol=0.02, rtol=0)


def test_a_sigma_outside_the_schedule_is_refused_with_its_range():
    with pytest.raises(DifflabError, match=r"^sigma 200 is outside the schedule, which goes from 0.01 to 157"):
        schedule.linear().require(200)


@pytest.mark.parametrize("sigmas", [[1.0], [1.0, 1.0], [2.0, 1.0], [0.0, 1.0]])
def test_a_table_that_does_not_ascend_is_no_schedule(sigmas):
    with pytest.raises(ValueError, match="ascending"):
        Schedule(torch.tensor(sigmas))


@pytest.mark.parametrize("kind", ["linear", "cosine", "ve"])
def test_parameters_name_the_schedule(kind):
    params = ScheduleParams(
        kind=kind, num_train_timesteps=50, beta_start=1e-3, beta_end=0.2, sigma_min=0.02, sigma_max=40.0
    )
    table = schedule.make(params)
    assert len(table) == 50
    if kind == "ve":
        assert table.sigmas[[0, -1]].tolist() == pytest.approx([0.02, 40.0])

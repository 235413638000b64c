"""The densities of sigma: closed form, realised draws, and diffusers' own functions agree."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base import rng
from difflab.sd3.training.density import SigmaDensity, quantiles, shift_sigma
from difflab.training.params import DensityParams

SCHEMES = ["none", "logit_normal", "sigma_sqrt", "mode", "cosmap"]
DRAWS = 20_000


def density(scheme="logit_normal", convention="diffusers", shift=3.0, mean=0.0, std=1.0):
    params = DensityParams(weighting_scheme=scheme, convention=convention, logit_std=std, mode_scale=1.29, shift=shift)
    return SigmaDensity(params, mean)


def keys(count=DRAWS):
    return rng.id_keys([f"hq-{n:05d}" for n in range(count)])


@pytest.mark.parametrize("convention", ["sigma", "diffusers"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_draws_have_the_quantiles_of_the_closed_form(scheme, convention):
    for mean in (-0.5, 0.5):
        found = quantiles(density(scheme, convention, mean=mean), density(scheme, convention, mean=mean).sigma(keys()))
        for level in ("05", "25", "50", "75", "95"):
            assert found[f"sigma_q{level}"] == pytest.approx(found[f"sigma_q{level}_exact"], abs=0.012)


@pytest.mark.parametrize(("mean", "median"), [(-0.5, 0.832), (0.0, 0.750), (0.5, 0.645)])
def test_published_means_put_the_median_where_diffusers_does(mean, median):
    assert density(mean=mean).quantile(torch.tensor(0.5)).item() == pytest.approx(median, abs=5e-4)


def test_the_sign_of_the_mean_is_opposite_in_the_two_conventions():
    q = torch.tensor([0.1, 0.5, 0.9])
    torch.testing.assert_close(density(mean=0.7).quantile(q), density(convention="sigma", mean=-0.7).quantile(q))


def test_logit_of_sigma_is_normal_around_ln_shift_minus_the_mean():
    logit = torch.logit(density(mean=0.5, std=0.8).sigma(keys()).double())
    assert logit.mean().item() == pytest.approx(math.log(3) - 0.5, abs=0.02)
    assert logit.std().item() == pytest.approx(0.8, abs=0.02)


def test_without_shift_it_is_the_density_of_the_paper():
    sigma = density(convention="sigma", shift=1.0).sigma(keys())
    assert sigma.median().item() == pytest.approx(0.5, abs=0.01)
    assert (sigma > 0.9).float().mean().item() == pytest.approx(0.014, abs=0.003)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_draws_match_diffusers_functions(scheme):
    """diffusers draws an index into its descending schedule of 1,000 shifted levels."""
    from diffusers import FlowMatchEulerDiscreteScheduler
    from diffusers.training_utils import compute_density_for_timestep_sampling

    u = compute_density_for_timestep_sampling(
        scheme, DRAWS, logit_mean=-0.5, logit_std=1.0, mode_scale=1.29, generator=torch.Generator().manual_seed(0)
    )
    schedule = FlowMatchEulerDiscreteScheduler(shift=3.0)
    theirs = (schedule.timesteps / 1000)[(u * 1000).long().clamp(max=999)]
    ours = density(scheme, mean=-0.5).sigma(keys())
    at = torch.linspace(0.02, 0.98, 25)
    torch.testing.assert_close(torch.quantile(ours, at), torch.quantile(theirs, at), atol=0.012, rtol=0)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_weights_are_those_of_diffusers(scheme):
    from diffusers.training_utils import compute_loss_weighting_for_sd3

    sigma = torch.linspace(0.003, 1.0, 200)
    torch.testing.assert_close(density(scheme).weight(sigma), compute_loss_weighting_for_sd3(scheme, sigma))


def test_a_draw_depends_on_its_own_key_only():
    some, order = keys(100), torch.randperm(100, generator=torch.Generator().manual_seed(1))
    for scheme in SCHEMES:
        whole = density(scheme).sigma(some)
        assert torch.equal(whole[order], density(scheme).sigma(some[order]))
        assert torch.equal(whole[:7], density(scheme).sigma(some[:7]))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_sigma_keeps_float32_and_the_range_of_the_schedule(scheme):
    sigma = density(scheme).sigma(keys())
    assert sigma.dtype == torch.float32
    assert sigma.unique().numel() > 0.9 * DRAWS
    assert sigma.min() >= shift_sigma(torch.tensor(0.001), 3.0)
    assert sigma.max() <= 1


@given(st.floats(0.001, 1.0), st.floats(0.1, 10.0))
def test_shift_keeps_order_and_ends_and_its_inverse_undoes_it(sigma, shift):
    value = torch.tensor(sigma, dtype=torch.float64)
    moved = shift_sigma(value, shift)
    assert 0 < moved <= 1 + 1e-12
    assert (moved >= value - 1e-12) == (shift >= 1) or math.isclose(moved, value, rel_tol=1e-9)
    assert shift_sigma(moved, 1 / shift).item() == pytest.approx(sigma)

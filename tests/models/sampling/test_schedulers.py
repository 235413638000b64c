"""Schedulers by name: each keeps the model's noise levels, and lands on the data where the model is known."""

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler, schedulers

from difflab.core.base.errors import DifflabError
from difflab.models.sampling.schedulers import (
    SCHEDULERS,
    flow_scheduler,
    is_flow,
    noise_schedule,
    pipeline_scheduler,
    refusal,
)

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
FLOW = FlowMatchEulerDiscreteScheduler(shift=3.0)


def own(**changes) -> DDIMScheduler:
    values = {"clip_sample": False, "set_alpha_to_one": False, "prediction_type": "v_prediction"}
    return DDIMScheduler(**{**BETAS, **values, **changes})


def sampled(scheduler, steps: int, mean: float, std: float) -> torch.Tensor:
    """Numbers sampled by the exact prediction for data N(mean, std^2), from the noise of a fixed generator."""
    generator = torch.Generator().manual_seed(0)
    scheduler.set_timesteps(steps)
    flow = is_flow(scheduler)
    x = torch.randn(20_000, 1, generator=generator) * (1 if flow else scheduler.init_noise_sigma)
    for t in scheduler.timesteps:
        inputs = x if flow else scheduler.scale_model_input(x, t)
        if flow:
            tau = t / 1000
            a, s = 1 - tau, tau
        else:
            abar = scheduler.alphas_cumprod[int(t)]
            a, s = abar.sqrt(), (1 - abar).sqrt()
        gain = a * std**2 / (a**2 * std**2 + s**2)
        x0 = mean + gain * (inputs - a * mean)
        noise = (inputs - a * x0) / s
        output = noise - x0 if flow else a * noise - s * x0
        options = {"generator": generator} if type(scheduler).__name__ == "DDPMScheduler" else {}
        x = scheduler.step(output, t, x, return_dict=False, **options)[0]
    return x


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_distribution_of_the_data_comes_out(name):
    """N(0.5, 0.8^2), for which the best prediction has a closed form."""
    model = FLOW if name == "flow-match" else own()
    x = sampled(pipeline_scheduler(name, model), 50, mean=0.5, std=0.8)
    assert x.mean().item() == pytest.approx(0.5, abs=0.05)
    assert x.std().item() == pytest.approx(0.8, rel=0.08)


@pytest.mark.parametrize("name", ["ddpm", "ddim", "euler", "dpm++"])
def test_levels_and_prediction_are_the_models_own(name):
    made = pipeline_scheduler(name, own(beta_end=0.02))
    assert torch.equal(made.alphas_cumprod, own(beta_end=0.02).alphas_cumprod)
    assert made.config.prediction_type == "v_prediction"


def test_latents_are_never_clipped():
    """A scheduler configuration without the entry would clip to [-1, 1]."""
    bare = DDIMScheduler(**BETAS)
    assert bare.config.clip_sample
    assert not pipeline_scheduler("ddpm", bare).config.clip_sample
    assert not pipeline_scheduler("ddim", bare).config.clip_sample


def test_the_own_scheduler_is_a_fresh_one_of_the_same_configuration():
    model = own()
    made = pipeline_scheduler("own", model)
    assert made is not model
    assert made.config == model.config


@pytest.mark.parametrize("steps", [5, 50, 150])
@pytest.mark.parametrize("name", ["euler", "dpm++"])
def test_euler_and_dpm_start_at_the_noisiest_level_for_any_number_of_steps(name, steps):
    made = pipeline_scheduler(name, own(timestep_spacing="leading"))
    made.set_timesteps(steps)
    assert int(made.timesteps[0]) == 999


@pytest.mark.parametrize(("spacing", "name"), [("leading", "ddpm"), ("leading", "ddim"), ("trailing", "ddim")])
def test_numbers_of_steps_that_miss_much_of_the_noise_are_refused_with_one_that_does_not(spacing, name):
    model = own(timestep_spacing=spacing)
    said = refusal(name, model, 150)
    assert said == f"150 steps of {name} cover 900 of 1000 levels of noise, take 200"
    assert [refusal(name, model, steps) for steps in (5, 30, 75, 125, 200, 1000)] == [""] * 6


def test_ddpm_with_trailing_timesteps_takes_any_number_of_steps():
    model = own(timestep_spacing="trailing")
    assert refusal("ddpm", model, 150) == ""
    x = sampled(pipeline_scheduler("ddpm", model), 150, mean=0.5, std=0.8)
    assert x.std().item() == pytest.approx(0.8, rel=0.04)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_is_taken_by_flow_models_or_by_the_others(name):
    taken = [not refusal(name, model, 20) for model in (FLOW, own())]
    assert taken == ([True, True] if name == "own" else [name == "flow-match", name != "flow-match"])


@pytest.mark.parametrize("kind", ["DDPM", "PNDM", "EulerDiscrete", "DPMSolverMultistep", "UniPCMultistep"])
def test_whatever_a_model_is_sampled_with_it_was_trained_on_noise_of_one_scaling(kind):
    shared = {k: v for k, v in BETAS.items() if k != "steps_offset"}
    model = getattr(schedulers, f"{kind}Scheduler")(**shared, prediction_type="v_prediction")
    model.set_timesteps(7)
    generator = torch.Generator().manual_seed(0)
    x0, noise = (torch.randn(3, 4, generator=generator) for _ in range(2))
    places = torch.tensor([0, 421, 999])
    made = noise_schedule(model, "base")
    assert torch.equal(made.alphas_cumprod, own().alphas_cumprod)
    assert torch.equal(made.add_noise(x0, noise, places), own().add_noise(x0, noise, places))


def test_noise_up_to_the_last_level_is_kept():
    made = noise_schedule(EulerDiscreteScheduler(rescale_betas_zero_snr=True, prediction_type="v_prediction"), "base")
    assert made.alphas_cumprod[-1] == 0


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name not in ("own", "flow-match")])
def test_other_levels_than_those_of_betas_are_not_taken_for_diffusers_defaults(name):
    model = schedulers.EDMEulerScheduler()
    assert refusal(name, model, 20) == (
        f"{name}: the model's EDMEulerScheduler has other noise levels than a schedule of betas, take own"
    )
    assert refusal("own", model, 20) == ""
    with pytest.raises(DifflabError, match=r"^base: its EDMEulerScheduler has other noise levels"):
        noise_schedule(model, "base")


def test_an_unknown_name_is_an_error():
    with pytest.raises(DifflabError, match="unknown scheduler 'heun'"):
        refusal("heun", own(), 10)


def test_how_samples_are_drawn_is_the_studys_and_what_that_overrules_is_said():
    """Karras' sigmas of a checkpoint would make `euler` another sampler than the one named in the scores."""
    model = EulerDiscreteScheduler(**{k: v for k, v in BETAS.items() if k != "steps_offset"}, use_karras_sigmas=True)
    with pytest.warns(
        UserWarning, match="own use_karras_sigmas=True of its scheduler is overruled by the study's Euler"
    ):
        made = pipeline_scheduler("euler", model)
    assert not made.config.use_karras_sigmas
    assert pipeline_scheduler("own", model).config.use_karras_sigmas


def test_thresholds_for_pixels_are_not_taken_over():
    with pytest.warns(UserWarning, match="thresholding=True"):
        assert not pipeline_scheduler("ddim", own(thresholding=True)).config.thresholding


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name not in ("own", "flow-match")])
def test_a_prediction_of_another_kind_is_refused(name):
    assert refusal(name, own(prediction_type="flow_prediction"), 20).startswith(
        f"{name}: the model predicts 'flow_pred"
    )


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_configuration_without_wishes_of_its_own_is_taken_in_silence():
    for name in ("ddpm", "ddim", "euler", "dpm++"):
        pipeline_scheduler(name, own())
    made = flow_scheduler(FLOW, "base")
    assert made.config.items() >= {k: v for k, v in FLOW.config.items() if not k.startswith("_")}.items()


def test_a_base_keeps_its_shift_and_its_sampling_is_the_studys():
    with pytest.warns(UserWarning, match="invert_sigmas=True, use_karras_sigmas=True"):
        made = flow_scheduler(
            FlowMatchEulerDiscreteScheduler(shift=2.0, use_karras_sigmas=True, invert_sigmas=True), "base"
        )
    assert made.config.shift == 2.0
    made.set_timesteps(4)
    assert (made.sigmas.diff() < 0).all()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (own(), "its scheduler is a DDIMScheduler, and a base must be a flow model"),
        (FlowMatchEulerDiscreteScheduler(num_train_timesteps=500), "trained with 500 timesteps; 1000 are needed"),
        (FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True), "depend on the size of the picture"),
    ],
)
def test_a_base_of_another_kind_is_refused(model, message):
    with pytest.raises(DifflabError, match=f"^models/base: .*{message}"):
        flow_scheduler(model, "models/base")

"""Settings that cannot be trained, sampled or compared are refused by one line, before anything runs."""

import pytest
from pydantic import ValidationError

from difflab.cli.compose import compose, validate
from difflab.core.base.errors import DifflabError
from difflab.ddpm.common import schedule
from difflab.ddpm.params import ScheduleParams


def ddpm(root, *overrides):
    return validate(compose(list(overrides), root / "conf"), "params.yaml").ddpm


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("denoise.seeds=[1,1]", "parameter 'denoise.seeds': 1 is listed twice"),
        ("denoise.seeds=[]", "parameter 'denoise.seeds': .* should have at least 1 item"),
        ("ddpm.common.seeds=[0,-1]", "seeds.1': Input should be greater than or equal to 0"),
        ("ddpm.common.seeds=[2,2]", "seeds': 2 is listed twice"),
        ("+ddpm.latent.seeds=[0]", r"latent\.seeds has 1 and single_class\.seeds 2: .* give both equally many"),
        ("+ddpm.single_image_64.seeds=[0]", r"single_image_64\.seeds has 1 and single_image_32\.seeds 2"),
    ],
)
def test_seeds_that_give_no_interval_are_refused(root, override, message):
    with pytest.raises(DifflabError, match=message):
        ddpm(root, override)


def test_single_images_may_be_trained_less_often_than_the_settings_with_distances(root):
    params = ddpm(root, "+ddpm.single_image_32.seeds=[0]", "+ddpm.single_image_64.seeds=[5]")
    assert (params.single_image_64.seeds, params.text.seeds) == ([5], [0, 1])


@pytest.mark.parametrize("name", ["class_conditional", "latent", "text"])
def test_a_network_that_reads_no_condition_is_refused_where_there_is_one(root, name):
    overrides = [f"+ddpm.{name}.unet.kind=drunet", f"ddpm.{name}.unet.attention_levels=[]"]
    with pytest.raises(DifflabError, match=rf"{name}\.unet\.kind is drunet, which cannot be told a class or a prompt"):
        ddpm(root, *overrides)


def schedule_params(**changes):
    values = {"kind": "linear", "num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02}
    return ScheduleParams(**{**values, "sigma_min": 0.01, "sigma_max": 50.0, **changes})


@pytest.mark.parametrize("kind", ["linear", "cosine", "ve"])
@pytest.mark.parametrize("count", [2, 10, 1000, 4000])
def test_the_reach_of_a_schedule_is_that_of_its_table(kind, count):
    params = schedule_params(kind=kind, num_train_timesteps=count)
    sigmas = schedule.make(params).sigmas
    assert params.reach() == pytest.approx((sigmas[0].item(), sigmas[-1].item()), rel=1e-9)


def test_noise_that_float32_cannot_hold_is_refused():
    with pytest.raises(ValidationError, match="end in noise that float32 cannot hold"):
        schedule_params(beta_end=0.5)


@pytest.mark.parametrize("sigma", [0.004, 0.99])
def test_a_noise_beyond_the_schedule_is_refused_before_anything_is_trained(root, sigma):
    overrides = [f"denoise.sigma={sigma}", "denoise.schedule.num_train_timesteps=100"]
    with pytest.raises(
        DifflabError, match=rf"sigma is {sigma}, and the schedule goes from 0\.005 to 0\.\d+ \(of images"
    ):
        validate(compose(overrides, root / "conf"), "params.yaml")

"""Noise and targets are those of diffusers' schedulers and of the papers, for Stable Diffusion and SD3."""

import pytest
import torch
from diffusers import EulerDiscreteScheduler

from difflab.core.base.errors import DifflabError
from difflab.personal.base import Base
from fakes import tiny_pipelines

PLACES = torch.tensor([0.001, 0.25, 0.5, 0.9995])


def draws():
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(4, 4, 4, 4, generator=generator) for _ in range(2))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_stable_diffusion_sees_the_noise_of_its_scheduler(prediction):
    base = Base(tiny_pipelines.pipeline("sd", prediction_type=prediction))
    x0, noise = draws()
    noisy, timesteps, target = base.noised(x0, noise, PLACES)
    assert timesteps.tolist() == [1, 250, 500, 999]
    scheduler = base.pipeline.scheduler
    abar = scheduler.alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    torch.testing.assert_close(noisy, abar.sqrt() * x0 + (1 - abar).sqrt() * noise)
    expected = noise if prediction == "epsilon" else scheduler.get_velocity(x0, noise, timesteps)
    torch.testing.assert_close(target, expected)


def test_the_scheduler_that_a_model_is_sampled_with_does_not_change_what_it_learns_from():
    """Euler's own noise is x0 + sigma noise, which no U-Net of Stable Diffusion has seen."""
    pipeline = tiny_pipelines.pipeline("sd")
    expected = Base(pipeline).noised(*draws(), PLACES)
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    for found, right in zip(Base(pipeline).noised(*draws(), PLACES), expected, strict=True):
        assert torch.equal(found, right)


def test_a_flow_model_goes_on_straight_paths():
    base = Base(tiny_pipelines.pipeline("sd3"))
    x0, noise = draws()
    noisy, timesteps, target = base.noised(x0, noise, PLACES)
    sigma = (timesteps / 1000).view(-1, 1, 1, 1)
    torch.testing.assert_close(x0 + sigma * target, noisy)
    assert timesteps[2].item() == pytest.approx(750)  # the median, 0.5, shifted by 3: 3 s / (1 + 2 s)


@pytest.mark.parametrize("kind", ["sd", "sd3"])
def test_prompts_condition_the_prediction(kind):
    base = Base(tiny_pipelines.pipeline(kind))
    x0, noise = draws()
    noisy, timesteps, _ = base.noised(x0, noise, PLACES)
    with torch.no_grad():
        first, second = (base.predict(noisy, timesteps, base.encode([text] * 4)) for text in ("three", "a cat"))
    assert first.shape == x0.shape
    assert not torch.allclose(first, second)


def test_the_prediction_is_that_of_the_pipelines_own_encoding(base):
    embeds, _ = base.pipeline.encode_prompt(["a cat"], "cpu", 1, False)
    torch.testing.assert_close(base.encode(["a cat"])["encoder_hidden_states"], embeds)


def test_latents_are_those_that_the_autoencoder_decodes(base, images):
    vae = base.pipeline.vae
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
    expected = vae.encode(pixels).latent_dist.mean * vae.config.scaling_factor
    torch.testing.assert_close(base.latents(images), expected)
    assert base.image_size == tiny_pipelines.SIZE


def test_a_copy_is_trained_without_the_base(base):
    copied = base.frozen_copy()
    next(copied.network.parameters()).data.add_(1)
    assert not torch.equal(next(copied.network.parameters()), next(base.network.parameters()))
    assert copied.pipeline.vae is base.pipeline.vae


def test_a_base_that_cannot_be_trained_is_refused():
    with pytest.raises(DifflabError, match="is a StableDiffusionXLPipeline"):
        Base(tiny_pipelines.pipeline("sdxl"))
    with pytest.raises(DifflabError, match="predicts 'sample'"):
        Base(tiny_pipelines.pipeline("sd", prediction_type="sample"))
    with pytest.raises(DifflabError, match="noise levels depend on the size of the picture"):
        Base(tiny_pipelines.pipeline("sd3", use_dynamic_shifting=True))


def test_a_base_without_a_text_encoder_to_tune_is_refused(base):
    with pytest.raises(DifflabError, match="has three text encoders, of which none is tuned"):
        Base(tiny_pipelines.pipeline("sd3")).text_encoder()
    base.pipeline.text_encoder = None
    with pytest.raises(DifflabError, match="has no text encoder"):
        base.text_encoder()

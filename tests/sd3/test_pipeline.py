"""The study's base as a pipeline: the same pictures as the study's own sampling makes."""

import pytest
import torch

from difflab.core.base.errors import DifflabError
from difflab.models.sampling.latent_images import decode
from difflab.sd3.artifacts.components import write_components
from difflab.sd3.pipeline import study_components, study_pipeline
from difflab.sd3.sampling import sample
from fakes import adapters
from fakes.adapters import study_zoo


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return study_zoo(adapters.base("sd3"))


@torch.no_grad()
def test_it_makes_the_pictures_of_the_study(zoo):
    pipeline = study_pipeline()
    pipeline.set_progress_bar_config(disable=True)
    options = {"num_inference_steps": 3, "guidance_scale": 2.0, "max_sequence_length": 13}
    noise = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    made = pipeline("three over a cat", latents=noise.clone(), output_type="np", **options).images[0]
    embeds = pipeline.encode_prompt("three over a cat", None, None, max_sequence_length=13)
    prompt, negative, pooled, negative_pooled = embeds
    latents = sample(pipeline.transformer, pipeline.scheduler, 3, 2.0, noise, prompt, pooled, negative, negative_pooled)
    (picture,) = decode(pipeline.vae, latents, ["a"])
    assert abs(made * 255 - picture).max() <= 0.51


def test_a_base_with_another_autoencoder_is_refused(zoo):
    write_components(zoo / "transformer", study_components() | {"vae": "another"})
    with pytest.raises(DifflabError, match="was trained with another autoencoder"):
        study_pipeline()

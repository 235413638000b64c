"""The sampler gives what diffusers' own pipeline gives."""

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, StableDiffusion3Pipeline
from diffusers.models import AutoencoderKL, SD3Transformer2DModel

from difflab.models.latent_images import initial_noise
from difflab.sd3.sampling.flow_sampling import sample

IDS = ["hq-00001", "hq-00007", "hq-00012"]


@pytest.fixture(scope="module")
def transformer():
    torch.manual_seed(0)
    return SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
        num_attention_heads=2, joint_attention_dim=12, caption_projection_dim=16, pooled_projection_dim=6,
        pos_embed_max_size=8,
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def embeds():
    generator = torch.Generator().manual_seed(1)
    return {
        "prompt_embeds": torch.randn(3, 5, 12, generator=generator),
        "pooled_prompt_embeds": torch.randn(3, 6, generator=generator),
        "negative_prompt_embeds": torch.randn(1, 5, 12, generator=generator),
        "negative_pooled_prompt_embeds": torch.randn(1, 6, generator=generator),
    }


def pipeline_latents(transformer, shift, noise, embeds, steps, guidance_scale):
    vae = AutoencoderKL(
        block_out_channels=(4,), latent_channels=4, norm_num_groups=2, shift_factor=0.0, scaling_factor=1.0
    )
    pipeline = StableDiffusion3Pipeline(transformer, FlowMatchEulerDiscreteScheduler(shift=shift), vae, *[None] * 6)
    pipeline.set_progress_bar_config(disable=True)
    repeated = {name: t.expand(3, *t.shape[1:]) for name, t in embeds.items()}
    return pipeline(
        **repeated, latents=noise, height=8, width=8, num_inference_steps=steps,
        guidance_scale=guidance_scale, output_type="latent",
    ).images  # fmt: skip


@pytest.mark.parametrize(("shift", "guidance_scale"), [(1.0, 4.0), (3.0, 1.0), (3.0, 7.0)])
def test_latents_equal_those_of_the_sd3_pipeline(transformer, embeds, shift, guidance_scale):
    noise = initial_noise(IDS, (4, 8, 8), seed=0, generation_seed=0)
    ours = sample(
        transformer,
        FlowMatchEulerDiscreteScheduler(shift=shift),
        noise,
        **embeds,
        num_inference_steps=5,
        guidance_scale=guidance_scale,
    )
    theirs = pipeline_latents(transformer, shift, noise, embeds, 5, guidance_scale)
    assert (ours - noise).abs().max() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


def test_guidance_one_runs_one_forward_and_ignores_the_negative_prompt(transformer, embeds):
    noise = initial_noise(IDS, (4, 8, 8), seed=0, generation_seed=0)
    sizes = []
    hook = transformer.register_forward_pre_hook(
        lambda module, args, kwargs: sizes.append(len(kwargs["hidden_states"])), with_kwargs=True
    )
    other = {**embeds, "negative_prompt_embeds": 100 * embeds["negative_prompt_embeds"]}
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    plain = [
        sample(transformer, scheduler, noise, **e, num_inference_steps=3, guidance_scale=1.0) for e in (embeds, other)
    ]
    hook.remove()
    assert sizes == [3] * 6
    assert torch.equal(*plain)


def test_a_sample_does_not_depend_on_its_batch(transformer, embeds):
    noise = initial_noise(IDS, (4, 8, 8), seed=0, generation_seed=0)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)

    def run(rows):
        own = {n: t if n.startswith("negative") else t[rows] for n, t in embeds.items()}
        return sample(transformer, scheduler, noise[rows], **own, num_inference_steps=4, guidance_scale=3.0)

    torch.testing.assert_close(run([0, 1, 2])[1], run([1])[0], rtol=0, atol=1e-5)


def test_noise_belongs_to_the_id_and_the_seeds():
    shape = (2, 4, 4)
    noise = initial_noise(IDS, shape, seed=0, generation_seed=0)
    assert torch.equal(noise[2], initial_noise(IDS[2:], shape, seed=0, generation_seed=0)[0])
    assert not torch.equal(noise, initial_noise(IDS, shape, seed=0, generation_seed=1))
    assert not torch.equal(noise, initial_noise(IDS, shape, seed=1, generation_seed=0))
    many = initial_noise([f"hq-{n:05d}" for n in range(500)], shape, seed=0, generation_seed=0)
    assert abs(many.mean()) < 0.03
    assert abs(many.std() - 1) < 0.03

"""Images are those of diffusers' own pipeline and belong to ids and seeds: not to batches, processes or stops."""

import copy
import itertools
import zipfile

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, StableDiffusion3Pipeline
from diffusers.models import AutoencoderKL, SD3Transformer2DModel
from stages.sd3.generate import BATCHES_PER_CHUNK, write_archive

from difflab.core.base.errors import DifflabError
from difflab.core.base.sharding import process_chunks
from difflab.images.generated.reader import GeneratedImages
from difflab.models.sampling.latent_images import decode, initial_noise
from difflab.sd3.params import GenerateParams
from difflab.sd3.sampling import Generator, check_widths, sample

IDS = [f"hq-{n:05d}" for n in (3, 4, 8, 15, 16, 23, 42)]


class Prompts:
    """Prompt embeddings of a few ids; row 0 is the empty prompt."""

    empty_row = 0

    def __init__(self):
        generator = torch.Generator().manual_seed(3)
        self.embeds = torch.randn(len(IDS) + 1, 5, 12, generator=generator)
        self.pooled = torch.randn(len(IDS) + 1, 6, generator=generator)

    def rows(self, ids, variant):
        assert variant == "blip2"
        return torch.tensor([IDS.index(id) + 1 for id in ids])

    def gather(self, rows):
        return self.embeds[rows], self.pooled[rows]


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    transformer = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
        num_attention_heads=2, joint_attention_dim=12, caption_projection_dim=16, pooled_projection_dim=6,
        pos_embed_max_size=8,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(4, 4), down_block_types=("DownEncoderBlock2D",) * 2, latent_channels=4,
        up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=2, shift_factor=0.2, scaling_factor=1.7,
    )  # fmt: skip
    return transformer.eval(), FlowMatchEulerDiscreteScheduler(shift=3.0), vae.eval()


def generator(models, batch_size):
    return Generator(*models, Prompts(), seed=0, batch_size=batch_size, components={})


def settings(**changes):
    values = {
        "split": "val", "num_images": None, "seeds": [0, 5], "num_inference_steps": 3, "guidance_scale": 2.0,
        "batch_size": 3, "vae": "whole", "grid_images": 4,
    }  # fmt: skip
    return GenerateParams(**{**values, **changes})


def images(models, batch_size, ids=IDS, training=0, draw=0):
    made = generator(models, batch_size).images(ids, "blip2", training, draw, num_inference_steps=3, guidance_scale=2.0)
    return np.stack(list(made))


def test_images_do_not_depend_on_the_batch_or_on_the_other_ids(models):
    whole = images(models, 7)
    assert whole.shape == (7, 16, 16, 3)
    assert whole.std() > 1
    for other in (images(models, 3), images(models, 2, IDS[::-1])[::-1]):
        difference = np.abs(whole.astype(int) - other)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-3


def test_trainings_and_draws_share_no_noise(models):
    cells = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2)]
    made = [images(models, 7, training=training, draw=draw).astype(int) for training, draw in cells]
    for one, two in itertools.combinations(made, 2):
        assert np.abs(one - two).mean() > 1


def test_a_network_that_is_not_finite_makes_no_black_picture_but_an_error(models):
    """It names the picture and the step; a decoder's own fault names the picture."""
    broken = copy.deepcopy(models)
    with torch.no_grad():
        next(broken[0].parameters()).view(-1)[0] = float("nan")
    with pytest.raises(DifflabError, match=rf"^step 1 of 3: the latent of {IDS[0]} is not finite"):
        images(broken, 7)
    with pytest.raises(DifflabError, match=rf"^the latent of {IDS[1]} is not finite"):
        decode(models[2], torch.stack([torch.zeros(4, 8, 8), torch.full((4, 8, 8), float("inf"))]), IDS[:2])
    broken = copy.deepcopy(models)
    with torch.no_grad():
        broken[2].decoder.conv_out.bias[0] = float("nan")
    with pytest.raises(DifflabError, match=rf"^the picture of {IDS[0]} is not finite"):
        images(broken, 7)


def test_decoding_is_that_of_the_pipeline(models):
    from diffusers.image_processor import VaeImageProcessor

    vae = models[2]
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        decoded = vae.decode(latents / vae.config.scaling_factor + vae.config.shift_factor).sample
    theirs = VaeImageProcessor().postprocess(decoded, output_type="pil")
    for one, two in zip(decode(vae, latents), theirs, strict=True):
        assert np.abs(one.astype(int) - np.asarray(two)).max() <= 1


def test_the_archive_holds_seeds_and_ids_in_order_and_gives_the_images_back(models, tmp_path):
    path = tmp_path / "blip2.zip"
    assert write_archive(path, generator(models, 3), IDS, "blip2", 1, settings(), tmp_path / "scratch")
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [f"seed-{seed}/{id}.png" for seed in (0, 5) for id in IDS]
    for seed in (0, 5):
        expected = np.concatenate([images(models, 3, IDS[i : i + 3], 1, seed) for i in (0, 3, 6)])
        found = [np.asarray(image) for image in GeneratedImages(path).read(seed, IDS)]
        assert np.array_equal(found, expected)


def test_several_processes_and_a_stopped_run_give_the_same_bytes(models, tmp_path, monkeypatch):
    write_archive(tmp_path / "one" / "a.zip", generator(models, 3), IDS, "blip2", 0, settings(), tmp_path / "s1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    two = tmp_path / "two" / "a.zip"
    assert not write_archive(two, generator(models, 3), IDS, "blip2", 0, settings(), tmp_path / "s2")
    assert not two.exists()
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.delenv("RANK")
    assert write_archive(two, generator(models, 3), IDS, "blip2", 0, settings(), tmp_path / "s2")
    assert two.read_bytes() == (tmp_path / "one" / "a.zip").read_bytes()


def test_finished_batches_are_taken_over(models, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    write_archive(tmp_path / "a.zip", generator(models, 3), IDS, "blip2", 0, settings(), scratch)
    what = "blip2 training 0 draw 0"
    process_chunks(
        IDS, 3 * BATCHES_PER_CHUNK, scratch, lambda chunk, path: pytest.fail("made again"), what=what, suffix=".zip"
    )
    monkeypatch.setattr(Generator, "images", lambda *args, **kwargs: pytest.fail("made again"))
    assert write_archive(tmp_path / "b" / "a.zip", generator(models, 3), IDS, "blip2", 0, settings(), scratch)


def test_embeddings_of_other_widths_are_refused(models):
    prompts = Prompts()
    check_widths(prompts, models[0])
    prompts.pooled = prompts.pooled[:, :4]
    with pytest.raises(DifflabError, match=r"12 and 4 wide, the transformer takes 12 and 6"):
        check_widths(prompts, models[0])


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
def test_latents_equal_those_of_the_sd3_pipeline(models, embeds, shift, guidance_scale):
    noise = initial_noise(IDS[:3], (4, 8, 8), seed=0, generation_seed=0)
    ours = sample(
        models[0],
        FlowMatchEulerDiscreteScheduler(shift=shift),
        noise=noise,
        **embeds,
        num_inference_steps=5,
        guidance_scale=guidance_scale,
    )
    theirs = pipeline_latents(models[0], shift, noise, embeds, 5, guidance_scale)
    assert (ours - noise).abs().max() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


def test_guidance_one_runs_one_forward_and_ignores_the_negative_prompt(models, embeds):
    noise = initial_noise(IDS[:3], (4, 8, 8), seed=0, generation_seed=0)
    sizes = []
    hook = models[0].register_forward_pre_hook(
        lambda module, args, kwargs: sizes.append(len(kwargs["hidden_states"])), with_kwargs=True
    )
    other = {**embeds, "negative_prompt_embeds": 100 * embeds["negative_prompt_embeds"]}
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    plain = [
        sample(models[0], scheduler, noise=noise, **e, num_inference_steps=3, guidance_scale=1.0)
        for e in (embeds, other)
    ]
    hook.remove()
    assert sizes == [3] * 6
    assert torch.equal(*plain)


def test_a_sample_does_not_depend_on_its_batch(models, embeds):
    noise = initial_noise(IDS[:3], (4, 8, 8), seed=0, generation_seed=0)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)

    def run(rows):
        own = {n: t if n.startswith("negative") else t[rows] for n, t in embeds.items()}
        return sample(models[0], scheduler, noise=noise[rows], **own, num_inference_steps=4, guidance_scale=3.0)

    torch.testing.assert_close(run([0, 1, 2])[1], run([1])[0], rtol=0, atol=1e-5)


def test_noise_belongs_to_the_id_and_the_seeds():
    shape = (2, 4, 4)
    noise = initial_noise(IDS, shape, seed=0, generation_seed=0)
    assert torch.equal(noise[2:], initial_noise(IDS[2:], shape, seed=0, generation_seed=0))
    assert not torch.equal(noise, initial_noise(IDS, shape, seed=0, generation_seed=1))
    assert not torch.equal(noise, initial_noise(IDS, shape, seed=1, generation_seed=0))
    many = initial_noise([f"hq-{n:05d}" for n in range(500)], shape, seed=0, generation_seed=0)
    assert abs(many.mean()) < 0.03
    assert abs(many.std() - 1) < 0.03

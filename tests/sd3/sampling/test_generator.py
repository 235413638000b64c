"""Generated images belong to their ids and seeds: not to batches, processes or interruptions."""

import zipfile

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.models import AutoencoderKL, SD3Transformer2DModel

from difflab.core.base.errors import DifflabError
from difflab.core.sharding import process_chunks
from difflab.images.generated_reader import GeneratedImages
from difflab.models.latent_images import decode
from difflab.sd3.params.sampling import GenerateParams
from difflab.sd3.sampling.generation import generate_archive
from difflab.sd3.sampling.generator import Generator, check_widths

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

    def gather(self, rows, device=None):
        return self.embeds[rows], self.pooled[rows]


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    transformer = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=1, attention_head_dim=8,
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
        "batch_size": 3, "grid_images": 4,
    }  # fmt: skip
    return GenerateParams(**{**values, **changes})


def images(models, batch_size, ids=IDS, seed=0):
    batches = generator(models, batch_size).images(
        ids, "blip2", generation_seed=seed, num_inference_steps=3, guidance_scale=2.0
    )
    return np.concatenate(list(batches))


def test_images_do_not_depend_on_the_batch_or_on_the_other_ids(models):
    whole = images(models, 7)
    assert whole.shape == (7, 16, 16, 3)
    assert whole.std() > 1
    for other in (images(models, 3), images(models, 2, IDS[::-1])[::-1]):
        difference = np.abs(whole.astype(int) - other)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-3


def test_seeds_give_other_images(models):
    assert np.abs(images(models, 7).astype(int) - images(models, 7, seed=5)).mean() > 1


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
    assert generate_archive(path, generator(models, 3), IDS, "blip2", settings(), tmp_path / "scratch")
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [f"seed-{seed}/{id}.png" for seed in (0, 5) for id in IDS]
    for seed in (0, 5):
        expected = np.concatenate([images(models, 3, IDS[i : i + 3], seed) for i in (0, 3, 6)])
        found = [np.asarray(image) for image in GeneratedImages(path).read(seed, IDS)]
        assert np.array_equal(found, expected)


def test_several_processes_and_a_stopped_run_give_the_same_bytes(models, tmp_path, monkeypatch):
    generate_archive(tmp_path / "one" / "a.zip", generator(models, 3), IDS, "blip2", settings(), tmp_path / "s1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    two = tmp_path / "two" / "a.zip"
    assert not generate_archive(two, generator(models, 3), IDS, "blip2", settings(), tmp_path / "s2")
    assert not two.exists()
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.delenv("RANK")
    assert generate_archive(two, generator(models, 3), IDS, "blip2", settings(), tmp_path / "s2")
    assert two.read_bytes() == (tmp_path / "one" / "a.zip").read_bytes()


def test_finished_batches_are_taken_over(models, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    generate_archive(tmp_path / "a.zip", generator(models, 3), IDS, "blip2", settings(), scratch)
    process_chunks(IDS, 3, scratch, lambda chunk, path: pytest.fail("made again"), what="a seed 0", suffix=".zip")
    monkeypatch.setattr(Generator, "images", lambda *args, **kwargs: pytest.fail("made again"))
    assert generate_archive(tmp_path / "b" / "a.zip", generator(models, 3), IDS, "blip2", settings(), scratch)


def test_embeddings_of_other_widths_are_refused(models):
    prompts = Prompts()
    check_widths(prompts, models[0])
    prompts.pooled = prompts.pooled[:, :4]
    with pytest.raises(DifflabError, match=r"12 and 4 wide, the transformer takes 12 and 6"):
        check_widths(prompts, models[0])

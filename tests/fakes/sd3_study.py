"""The data, the caches and the models of an SD3 study of the smallest size, as its stages find them."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from PIL import Image

from difflab.core.base import rng
from difflab.core.base.files import png_bytes
from difflab.core.base.roles import fingerprint
from difflab.core.base.store.captions import write_captions
from difflab.core.base.store.image_store import ImageStore
from difflab.images.preparing.store_writer import Sample, write_store
from difflab.sd3.artifacts.cells import PUBLISHED
from difflab.sd3.artifacts.components import write_components
from difflab.sd3.caching.latent_writer import write_latents
from difflab.sd3.caching.prompt_writer import write_prompts
from difflab.sd3.params import FinetuneParams, GenerateParams, LatentCacheParams
from fakes.flow import density_params, flow_settings, lora_settings, runtime, tiny_transformer
from fakes.running_stage import RunningStage


class FakeEncoders:
    """Vectors that depend on the caption alone, without a network."""

    lengths = {"text_encoder": 3, "text_encoder_2": 3, "text_encoder_3": 2}  # noqa: RUF012

    def encode(self, captions, batch_size):
        keys = torch.tensor([rng.key(0, "fake", c) for c in captions])
        shapes = {"clip_l": (3, 4), "clip_g": (3, 6), "t5": (2, 12), "pooled": (5,)}
        return {part: rng.normal(rng.fold(keys, i), shape) for i, (part, shape) in enumerate(shapes.items())}

    def truncated(self, captions):
        return dict.fromkeys(self.lengths, sum(len(c) > 5 for c in captions))


def make_vae(seed=0, **changes):
    from diffusers.models import AutoencoderKL

    torch.manual_seed(seed)
    settings = dict(
        block_out_channels=(8, 8, 8), layers_per_block=1, latent_channels=4, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        shift_factor=0.1, scaling_factor=1.5, use_quant_conv=False, use_post_quant_conv=False,
    )  # fmt: skip
    return AutoencoderKL(**{**settings, **changes}).eval()


def make_store(folder, prefix, count, size=32, start=0, held_out=0):
    """An image store of smooth random pictures, the last `held_out` of them for validation."""
    generator = np.random.default_rng(start)
    samples = []
    for number in range(count):
        small = generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC)
        samples.append(Sample(f"{prefix}-{number:05d}", "", png_bytes(image), size, size))
    splits = ["train" if number < count - held_out else "val" for number in range(count)]
    table = pd.DataFrame({"file": "", "split": splits, "Smiling": True}, index=[s.id for s in samples])
    write_store(folder, samples, table, keep_absent=True)
    return ImageStore(folder)


def latent_settings(**changes):
    values = dict(image_size=32, mirror=True, dtype="float32", batch_size=4, vae="whole", shard_size=5)
    return LatentCacheParams(**{**values, **changes})


def make_study(folder: Path, released: bool = False) -> None:
    """Images, captions, models and caches; a `released` base does not say what it was trained with."""
    zoo = folder / "models" / "zoo"
    make_store(folder / "data/celeba_hq", "hq", 6, size=16, held_out=2)
    save_vae(folder, seed=0)
    save_text(folder, "a")
    transformer = tiny_transformer(joint_attention_dim=12, pooled_projection_dim=5)
    transformer.save_pretrained(zoo / "transformer" / "transformer")
    scheduler().save_pretrained(zoo / "transformer" / "scheduler")
    if not released:
        components = {"vae": fingerprint(zoo / "vae"), "text_encoders": fingerprint(zoo / "text")}
        write_components(zoo / "transformer", components)
    for kind in PUBLISHED:
        save_captions(folder, kind, "a cat")
    cache_latents(folder)
    cache_prompts(folder)


def scheduler():
    from diffusers.schedulers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(shift=3.0)


def save_vae(folder: Path, seed: int) -> None:
    make_vae(seed).save_pretrained(folder / "models/zoo/vae")


def save_text(folder: Path, content: str) -> None:
    """Something with a fingerprint in the place of the text encoders, which the caches alone load."""
    (folder / "models/zoo/text").mkdir(parents=True, exist_ok=True)
    (folder / "models/zoo/text/weights").write_text(content)


def save_captions(folder: Path, kind: str, caption: str) -> None:
    ids = ImageStore(folder / "data/celeba_hq").ids
    table = {"id": ids, "variant": kind, "caption": caption, "source_sha256": "0" * 64}
    write_captions(folder / f"data/captions/{kind}.parquet", pd.DataFrame(table))


def cache_latents(folder: Path) -> None:
    from difflab.core.base.roles import load_vae

    vae, scratch = folder / "models/zoo/vae", folder / "scratch"
    store = ImageStore(folder / "data/celeba_hq")
    settings = latent_settings(image_size=16)
    write_latents(
        folder / "data/latents", [store], load_vae(vae), fingerprint(vae), settings,
        dtype=torch.float32, scratch=scratch,
    )  # fmt: skip
    shutil.rmtree(scratch)


def cache_prompts(folder: Path) -> None:
    captions = pd.concat([pd.read_parquet(folder / f"data/captions/{kind}.parquet") for kind in PUBLISHED])
    write_prompts(
        folder / "data/prompt_embeds", captions, FakeEncoders(), fingerprint(folder / "models/zoo/text"),
        dtype=torch.float32, batch_size=4, shard_size=8, scratch=folder / "scratch",
    )  # fmt: skip
    shutil.rmtree(folder / "scratch")


class Sd3Stage(RunningStage):
    """A stage of the study, with parameters of a few steps."""

    def __init__(self, seeds=(0,), scratch="scratch", **training) -> None:
        finetune = FinetuneParams(
            seeds=list(seeds),
            training=flow_settings(**{"steps": 1, **training}),
            density=density_params(),
            lora=lora_settings(),
            base="full",
            add_celeba=False,
            validation_samples=2,
            adapter_steps=[1],
        )
        generate = GenerateParams(
            split="val", num_images=None, seeds=[0], num_inference_steps=1, guidance_scale=1.0,
            batch_size=2, vae="whole", grid_images=1,
        )  # fmt: skip
        self.params = SimpleNamespace(
            seed=0,
            runtime=runtime(),
            finetune=finetune,
            generate=generate,
            balance=SimpleNamespace(enabled=False),
            logit_mean={"zero": 0.0},
            trained_on={kind: kind for kind in PUBLISHED},
        )
        self.run, self._scratch, self.logged, self.said = self, Path(scratch), {}, ""

    def scratch(self) -> Path:
        (self._scratch / "running").mkdir(parents=True, exist_ok=True)
        return self._scratch / "running"

    def kept(self, without: str) -> Path:
        assert without == "finetune.seeds"
        (self._scratch / "kept").mkdir(parents=True, exist_ok=True)
        return self._scratch / "kept"

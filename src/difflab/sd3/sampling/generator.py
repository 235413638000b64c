"""Images for the prompts of samples: the one function behind every generated picture of the study."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError
from difflab.models import roles
from difflab.models.latent_images import decode, initial_noise
from difflab.models.pretrained import load_scheduler, load_transformer, load_vae
from difflab.sd3.adapters import load_adapter
from difflab.sd3.components import Components, check_base
from difflab.sd3.sampling.flow_sampling import sample

if TYPE_CHECKING:
    from diffusers.models import AutoencoderKL, SD3Transformer2DModel
    from diffusers.schedulers import FlowMatchEulerDiscreteScheduler

    from difflab.core.params.common import RuntimeParams
    from difflab.sd3.caches.prompt_embeds import PromptTable


@dataclass
class Generator:
    """A transformer with everything that turns its output into images.

    Attributes:
        vae: float32; decoding is a small part of the work.
        prompts: the cached embeddings, the empty prompt among them.
        seed: the study's seed, part of every noise key.
        batch_size: images in a forward pass; with guidance the transformer sees twice as many.
        components: fingerprints of the autoencoder and of the encoders of the prompts.
    """

    transformer: "SD3Transformer2DModel"
    scheduler: "FlowMatchEulerDiscreteScheduler"
    vae: "AutoencoderKL"
    prompts: "PromptTable"
    seed: int
    batch_size: int
    components: Components

    def use_adapter(self, folder: Path | None) -> None:
        """Put the adapter of a folder on the base in place of the present one; None leaves the base alone.

        Raises:
            DifflabError: there is none, or it was trained on another base, autoencoder or text encoders.
        """
        if getattr(self.transformer, "peft_config", None):
            self.transformer.unload_lora()
        if folder is not None:
            load_adapter(self.transformer, folder, self.components)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        config = self.transformer.config
        return config.in_channels, config.sample_size, config.sample_size

    def images(
        self, ids: Sequence[str], variant: str, *, generation_seed: int, num_inference_steps: int, guidance_scale: float
    ) -> Iterator[np.ndarray]:
        """Batches uint8 [<= batch_size, H, W, 3] in the order of `ids`, for their captions of one variant.

        The noise is keyed by sample id and the seeds, so an image depends neither on the others nor on
        the batch size, beyond float32 rounding: at most one level on fewer than one pixel in a thousand.
        """
        device = self.vae.device
        rows = self.prompts.rows(ids, variant)
        negative = self.prompts.gather(torch.tensor([self.prompts.empty_row]), device=device)
        for start in range(0, len(ids), self.batch_size):
            part = slice(start, start + self.batch_size)
            noise = initial_noise(ids[part], self.latent_shape, self.seed, generation_seed)
            latents = sample(
                self.transformer,
                self.scheduler,
                noise.to(device),
                *self.prompts.gather(rows[part], device=device),
                *negative,
                num_inference_steps=num_inference_steps,
                guidance_scale=guidance_scale,
            )
            yield decode(self.vae, latents)


def load_generator(
    prompts: "PromptTable", settings: "RuntimeParams", seed: int, batch_size: int, models: Path = Path("models/zoo")
) -> Generator:
    """Load the base transformer, its scheduler and the autoencoder.

    Raises:
        DifflabError: the prompts or the autoencoder do not belong to this transformer.
    """
    device = runtime.resolve_device(settings.device)
    base = roles.resolve(models / "transformer")
    components = {"vae": roles.fingerprint(models / "vae"), "text_encoders": prompts.text_encoders}
    check_base(base, components)
    transformer = load_transformer(base, device, runtime.resolve_dtype(settings.dtype))
    check_widths(prompts, transformer)
    if settings.compile:
        for block in transformer.transformer_blocks:
            block.compile()
    vae = load_vae(roles.resolve(models / "vae"), device)
    return Generator(transformer, load_scheduler(base), vae, prompts, seed, batch_size, components)


def check_widths(prompts: "PromptTable", transformer: "SD3Transformer2DModel") -> None:
    """Refuse prompt embeddings of other widths than the transformer takes."""
    found = tuple(t.shape[-1] for t in prompts.gather(torch.tensor([prompts.empty_row])))
    wanted = transformer.config.joint_attention_dim, transformer.config.pooled_projection_dim
    if found != wanted:
        raise DifflabError(
            f"prompt embeddings are {found[0]} and {found[1]} wide, the transformer takes {wanted[0]} and "
            f"{wanted[1]}: run `dvc repro cache_prompts` with the encoders of this base"
        )

"""Images for the prompts of samples: the one way to every generated picture of the study."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from difflab.core.base import rng, roles, runtime
from difflab.core.base.errors import DifflabError
from difflab.core.base.roles import load_transformer, load_vae
from difflab.core.base.store.tensors import check_finite
from difflab.models.sampling.latent_images import decode, initial_noise
from difflab.models.sampling.schedulers import load_scheduler
from difflab.sd3.artifacts.adapters import load_adapter
from difflab.sd3.artifacts.components import Components, check_base

if TYPE_CHECKING:
    from diffusers.models import AutoencoderKL, SD3Transformer2DModel
    from diffusers.schedulers import FlowMatchEulerDiscreteScheduler

    from difflab.core.params.common import RuntimeParams, VaeBatch
    from difflab.sd3.artifacts.prompt_embeds import PromptTable

ZOO = Path("models/zoo")


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

    @property
    def side(self) -> int:
        """The side of the images in pixels."""
        return self.transformer.config.sample_size * 2 ** (len(self.vae.config.block_out_channels) - 1)

    def use_adapter(self, folder: Path | None) -> None:
        """Put the adapter of a folder (see `load_adapter`) on the base in place of the present one; None: no adapter."""
        if getattr(self.transformer, "peft_config", None):
            self.transformer.unload_lora()
        if folder is not None:
            load_adapter(self.transformer, folder, self.components)

    def images(
        self,
        ids: Sequence[str],
        variant: str,
        training: int,
        draw: int,
        num_inference_steps: int,
        guidance_scale: float,
    ) -> Iterator[np.ndarray]:
        """Images uint8 [H, W, 3] in the order of `ids`, for their captions of one variant, made in batches.

        The noise is keyed by sample id, training and draw, so that no two trainings share any, and an image depends
        neither on the others nor on the batch size, beyond float32 rounding: at most one level on fewer than one
        pixel in a thousand.
        """
        config = self.transformer.config
        shape = config.in_channels, config.sample_size, config.sample_size
        rows = self.prompts.rows(ids, variant)
        empty = self.prompts.gather(torch.tensor([self.prompts.empty_row]))
        generation_seed = rng.key(training, "draw", draw)
        for start in range(0, len(ids), self.batch_size):
            part = slice(start, start + self.batch_size)
            noise = initial_noise(ids[part], shape, self.seed, generation_seed)
            given = [t.to(self.vae.device) for t in (noise, *self.prompts.gather(rows[part]), *empty)]
            latents = sample(
                self.transformer, self.scheduler, num_inference_steps, guidance_scale, *given, ids=ids[part]
            )
            yield from decode(self.vae, latents, ids[part])


def load_generator(
    prompts: "PromptTable", settings: "RuntimeParams", seed: int, batch_size: int, vae_batch: "VaeBatch" = "whole"
) -> Generator:
    """Load the base transformer, its scheduler and the autoencoder.

    Raises:
        DifflabError: the prompts or the autoencoder do not belong to this transformer.
    """
    device = runtime.resolve_device(settings.device)
    base = roles.resolve(ZOO / "transformer")
    components = {"vae": roles.fingerprint(ZOO / "vae"), "text_encoders": prompts.text_encoders}
    check_base(base, components)
    transformer = load_transformer(base, device, runtime.resolve_dtype(settings.dtype))
    check_widths(prompts, transformer)
    if settings.compile:
        for block in transformer.transformer_blocks:
            block.compile()
    vae = load_vae(roles.resolve(ZOO / "vae"), device, vae_batch)
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


@torch.no_grad()
def sample(
    transformer: "SD3Transformer2DModel",
    scheduler: "FlowMatchEulerDiscreteScheduler",
    num_inference_steps: int,
    guidance_scale: float,
    noise: Tensor,
    prompt_embeds: Tensor,
    pooled_prompt_embeds: Tensor,
    negative_prompt_embeds: Tensor,
    negative_pooled_prompt_embeds: Tensor,
    *,
    ids: Sequence[str] = (),
) -> Tensor:
    """Integrate dx/dsigma = v from sigma = 1 to 0 by Euler steps on the scheduler's (shifted) sigmas.

    v = v_negative + guidance_scale * (v_prompt - v_negative), both from one pass (Ho and Salimans 2022,
    equation 6); at scale 1 the negative prompt has no effect and is left out. The same as
    `StableDiffusion3Pipeline` computes, with the state and the guidance in float32.

    Args:
        noise: [B, C, h, w], on the transformer's device.
        prompt_embeds, pooled_prompt_embeds: [B, L, joint dim] and [B, pooled dim].
        negative_prompt_embeds, negative_pooled_prompt_embeds: the same of the empty prompt, with B = 1.
        ids: of the samples, for the message where one is not finite.

    Returns:
        Latents, float32 [B, C, h, w], still shifted and scaled.
    """
    guided, dtype, count = guidance_scale != 1, transformer.dtype, len(noise)
    if guided:
        prompt_embeds = torch.cat([negative_prompt_embeds.expand(count, -1, -1), prompt_embeds])
        pooled_prompt_embeds = torch.cat([negative_pooled_prompt_embeds.expand(count, -1), pooled_prompt_embeds])
    prompt_embeds, pooled_prompt_embeds = prompt_embeds.to(dtype), pooled_prompt_embeds.to(dtype)
    scheduler.set_timesteps(num_inference_steps, device=noise.device)
    x = noise.float()
    steps = zip(scheduler.timesteps, scheduler.sigmas.diff(), strict=True)
    for number, (timestep, step_size) in enumerate(steps, start=1):
        inputs = torch.cat([x, x]) if guided else x
        velocity = transformer(
            hidden_states=inputs.to(dtype),
            timestep=timestep.expand(len(inputs)),
            encoder_hidden_states=prompt_embeds,
            pooled_projections=pooled_prompt_embeds,
            return_dict=False,
        )[0].float()
        if guided:
            negative, positive = velocity.chunk(2)
            velocity = negative + guidance_scale * (positive - negative)
        x = x + step_size * velocity
        check_finite(x, ids, f"step {number} of {num_inference_steps}: the latent")
    return x

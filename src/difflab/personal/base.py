"""The model that is personalised: one way to encode prompts, add noise and predict, for Stable Diffusion and SD3.

Stable Diffusion is a U-Net on discrete levels of noise that predicts the noise or v (Salimans and Ho 2022, appendix D);
Stable Diffusion 3 a transformer on straight paths that predicts the velocity noise - x0 (Esser et al. 2024, section 2).
"""

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from difflab.core.base.errors import DifflabError
from difflab.core.base.store.tensors import per_sample, to_tensor
from difflab.models.sampling.latent_images import latent_scaling
from difflab.models.sampling.schedulers import flow_scheduler, is_flow, noise_schedule

if TYPE_CHECKING:
    import numpy as np
    from diffusers import DiffusionPipeline

Condition = dict[str, Tensor]
"""What the network reads of prompts, by the names of its arguments; a row for each prompt."""


class Base:
    """A pipeline of `difflab.models.pipelines.prompted.load_pipeline`, on its device, in float32.

    Attributes:
        network: the U-Net, or the transformer of Stable Diffusion 3.

    Raises:
        DifflabError: it is of another kind (SDXL), predicts neither the noise nor v, or has other levels of noise.
    """

    def __init__(self, pipeline: "DiffusionPipeline") -> None:
        self.pipeline, self.flow = pipeline, is_flow(pipeline.scheduler)
        kind = type(pipeline).__name__
        if kind not in ("StableDiffusionPipeline", "StableDiffusion3Pipeline"):
            raise DifflabError(
                f"personal.base is a {kind}: StableDiffusionPipeline and StableDiffusion3Pipeline are trained"
            )
        self.network: nn.Module = pipeline.transformer if self.flow else pipeline.unet
        self.prediction = "flow" if self.flow else pipeline.scheduler.config.prediction_type
        if self.prediction not in ("flow", "epsilon", "v_prediction"):
            raise DifflabError(
                f"personal.base predicts '{self.prediction}': epsilon, v_prediction and flow are trained"
            )
        made = flow_scheduler if self.flow else noise_schedule
        self._levels: Any = made(pipeline.scheduler, "personal.base")

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def image_size(self) -> int:
        """The side of the pictures that the model makes, in pixels."""
        return self.network.config.sample_size * 2 ** (len(self.pipeline.vae.config.block_out_channels) - 1)

    def text_encoder(self) -> nn.Module:
        """The text encoder that can be tuned.

        Raises:
            DifflabError: there is none, or there are several.
        """
        encoder = getattr(self.pipeline, "text_encoder", None)
        if encoder is None or self.flow:
            why = "has three text encoders" if self.flow else "has no text encoder"
            raise DifflabError(
                f"personal.base {why}, of which none is tuned: take methods: [lora, full], or a Stable Diffusion 1 or 2"
            )
        return encoder

    def frozen_copy(self) -> "Base":
        """The same model with weights of its own, which nothing trains; the autoencoder is shared."""
        shared = {id(self.pipeline.vae): self.pipeline.vae}
        return Base(copy.deepcopy(self.pipeline, shared))

    def token_ids(self, prompts: Sequence[str]) -> Tensor:
        """int64 [n, L], as the pipeline gives them to its first text encoder."""
        tokenizer = self.pipeline.tokenizer
        length = tokenizer.model_max_length
        found = tokenizer(list(prompts), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        return found.input_ids

    def encode(self, prompts: Sequence[str]) -> Condition:
        """What the network reads of prompts; gradients reach a text encoder that is tuned."""
        if self.flow:
            embeds, _, pooled, _ = self.pipeline.encode_prompt(
                list(prompts), None, None, device=self.device, do_classifier_free_guidance=False
            )
            return {"encoder_hidden_states": embeds, "pooled_projections": pooled}
        encoder = self.text_encoder()
        return {"encoder_hidden_states": encoder(input_ids=self.token_ids(prompts).to(self.device))[0]}

    @torch.no_grad()
    def latents(self, images: "np.ndarray") -> Tensor:
        """Latents of pictures uint8 [n, S, S, 3], as the network sees them: the mean of the encoder's distribution."""
        vae = self.pipeline.vae
        shift, scale = latent_scaling(vae)
        pixels = to_tensor(images, images.shape[1]).to(self.device, vae.dtype)
        parts = [vae.encode(part).latent_dist.mean for part in pixels.split(8)]
        return (torch.cat(parts).float() - shift) * scale

    def noised(self, x0: Tensor, noise: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Noisy latents, their timesteps, and what the network is to predict.

        Args:
            places: in (0, 1), [n]: where in the distribution of timesteps each sample lies, 1 at the most noise. It is
                uniform over the levels of Stable Diffusion, and logit-normal in sigma (m 0, s 1) for flow models.
        """
        total = self._levels.config.num_train_timesteps
        if self.flow:
            sigma = torch.special.ndtri(places.double()).sigmoid().float()
            shift = self._levels.config.shift
            sigma = per_sample(shift * sigma / (1 + (shift - 1) * sigma), x0)
            return (1 - sigma) * x0 + sigma * noise, sigma.flatten() * total, noise - x0
        timesteps = (places * total).long().clamp(max=total - 1)
        noisy = self._levels.add_noise(x0, noise, timesteps)
        target = noise if self.prediction == "epsilon" else _velocity(self._levels, x0, noise, timesteps)
        return noisy, timesteps, target

    def predict(self, noisy: Tensor, timesteps: Tensor, condition: Condition) -> Tensor:
        if self.flow:
            return self.network(hidden_states=noisy, timestep=timesteps, return_dict=False, **condition)[0]
        return self.network(noisy, timesteps, return_dict=False, **condition)[0]


def _velocity(scheduler: Any, x0: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """v = sqrt(abar) noise - sqrt(1 - abar) x0."""
    abar = per_sample(scheduler.alphas_cumprod.to(x0.device)[timesteps], x0).to(x0.dtype)
    return abar.sqrt() * noise - (1 - abar).sqrt() * x0

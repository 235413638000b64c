"""Images of a setting of the DDPM series: which conditions, which noise, and back to pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from difflab.core.base.errors import DifflabError
from difflab.ddpm.networks.conditions import class_numbers
from difflab.ddpm.networks.denoiser import Condition, Denoise, Denoiser, guided
from difflab.ddpm.networks.networks import load_denoiser
from difflab.ddpm.networks.prompts import PromptedUNet, digit_prompts
from difflab.ddpm.sampling.samplers import OnStep, sample
from difflab.ddpm.settings import CONDITIONAL, SETTINGS
from difflab.images.store.tensors import to_uint8
from difflab.models.latent_images import decode

if TYPE_CHECKING:
    from diffusers.models import AutoencoderKL

    from difflab.ddpm.params.series import SettingSamplingParams


_CONDITIONS = {setting: "classes" if setting in CONDITIONAL else "nothing" for setting in SETTINGS} | {
    "text": "prompts"
}


@dataclass
class SeriesSampler:
    """A trained setting, ready to sample.

    Attributes:
        shape: of what the network makes: channels, height, width of pixels or latents.
        classes: class names; empty for settings without a condition.
        vae: decodes latents; None for pixels.
    """

    denoiser: Denoiser
    shape: tuple[int, int, int]
    classes: list[str]
    vae: "AutoencoderKL | None"

    @property
    def prompted(self) -> bool:
        return isinstance(self.denoiser.network, PromptedUNet)

    @property
    def condition_kind(self) -> str:
        """What the model is told: prompts, classes or nothing."""
        return "prompts" if self.prompted else "classes" if self.classes else "nothing"

    @property
    def device(self) -> torch.device:
        return next(self.denoiser.parameters()).device

    def wanted(self, count: int) -> list[str]:
        """What to ask for, image by image: classes or prompts in turn, "" where nothing can be asked for."""
        if self.prompted:
            prompts = [prompt for several in zip(*map(digit_prompts, range(10)), strict=True) for prompt in several]
            return [prompts[n % len(prompts)] for n in range(count)]
        return [self.classes[n % len(self.classes)] if self.classes else "" for n in range(count)]

    def images(
        self,
        ids: Sequence[str],
        wanted: Sequence[str],
        settings: "SettingSamplingParams",
        *,
        seed: int,
        batch_size: int,
        on_step: OnStep = lambda sigma, x, x0: None,
    ) -> np.ndarray:
        """Sample what is wanted, uint8 [n, H, W, 3]; the noise is keyed by id and seed.

        Raises:
            DifflabError: an unknown class or word, or guidance where there is no condition.
        """
        parts = []
        for start in range(0, len(ids), batch_size):
            part = slice(start, start + batch_size)
            x0 = sample(
                self.denoise(wanted[part], settings.guidance_scale),
                self.denoiser.schedule,
                ids[part],
                self.shape,
                sampler=settings.sampler,
                num_inference_steps=settings.num_inference_steps,
                seed=seed,
                eta=settings.eta,
                device=self.device,
                on_step=on_step,
            )
            parts.append(self.pixels(x0))
        return np.concatenate(parts)

    def denoise(self, wanted: Sequence[str], guidance_scale: float) -> Denoise:
        """The guided denoiser for some classes or prompts."""
        condition = self.condition(wanted)
        if condition is None:
            if guidance_scale != 1:
                raise DifflabError(
                    f"guidance_scale is {guidance_scale:g}, but this model has no condition to guide by: set it to 1"
                )
            return self.denoiser
        return guided(self.denoiser, condition, self._empty(condition), guidance_scale)

    def condition(self, wanted: Sequence[str]) -> Condition | None:
        """Arguments of the network for some classes or prompts."""
        if self.prompted:
            return {"tokens": self.denoiser.network.prompts.vocabulary.encode(wanted).to(self.device)}
        if not self.classes:
            return None
        return {"class_labels": class_numbers(wanted, self.classes).to(self.device)}

    def _empty(self, condition: Condition) -> Condition:
        value = 0 if self.prompted else len(self.classes)
        return {name: torch.full_like(tensor, value) for name, tensor in condition.items()}

    def pixels(self, x0: Tensor) -> np.ndarray:
        """What the network makes, as uint8 [n, H, W, 3]; values outside [-1, 1] are cut, never wrapped."""
        if self.vae is not None:
            return decode(self.vae, x0)
        return to_uint8(x0.expand(-1, 3, -1, -1))


def load_sampler(folder: Path, device: torch.device) -> SeriesSampler:
    """The sampler of a trained setting; with a folder `vae` beside the network it works in latents.

    Raises:
        DifflabError: it is missing, damaged, or the model of another setting than the folder's name says.
    """
    from difflab.ddpm import autoencoder

    remedy = f"`dvc checkout {folder}` puts it back"
    try:
        denoiser, description = load_denoiser(folder, device)
        by_class = getattr(getattr(denoiser.network, "config", None), "num_class_embeds", None)
        classes = description["classes"] if by_class else []
        vae = autoencoder.load(folder / "vae", device) if (folder / "vae").is_dir() else None
        sampler = SeriesSampler(denoiser, tuple(description["shape"]), classes, vae)
    except (AttributeError, KeyError, FileNotFoundError, TypeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise DifflabError(f"{folder} holds no whole setting of the DDPM series ({why}): {remedy}") from error
    wanted, found = _CONDITIONS.get(folder.name), sampler.condition_kind
    if wanted is not None and (wanted, folder.name == "latent") != (found, vae is not None):
        raise DifflabError(f"{folder} holds the model of another setting, told {found}: {remedy}")
    return sampler

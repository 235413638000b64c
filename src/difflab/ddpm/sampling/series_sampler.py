"""Images of a setting of the DDPM series: which conditions, which noise, and back to pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from difflab.core.base.errors import DifflabError
from difflab.core.base.roles import load_vae
from difflab.core.base.store.tensors import to_uint8
from difflab.ddpm.common.conditions import PromptedUNet, class_numbers
from difflab.ddpm.common.denoiser import Condition, Denoise, Denoiser, guided
from difflab.ddpm.common.networks import load_denoiser
from difflab.ddpm.common.prompts import digit_prompts
from difflab.ddpm.common.settings import BY_CLASS, SETTINGS
from difflab.ddpm.sampling.samplers import OnStep, ignore, sample
from difflab.models.sampling.latent_images import decode

if TYPE_CHECKING:
    from diffusers.models import AutoencoderKL

    from difflab.ddpm.params import SettingSamplingParams


@dataclass
class SeriesSampler:
    """A trained setting, ready to sample."""

    denoiser: Denoiser
    shape: tuple[int, int, int]  # of what the network makes: channels, height, width of pixels or latents
    classes: list[str]  # their names; empty for settings that are told none
    vae: "AutoencoderKL | None" = None  # decodes latents; None for pixels
    image: str = ""  # id of the one image that it was trained on, if it was

    @property
    def prompted(self) -> bool:
        return isinstance(self.denoiser.network, PromptedUNet)

    @property
    def device(self) -> torch.device:
        return next(self.denoiser.parameters()).device

    def wanted(self, count: int) -> list[str]:
        """What is to appear, image by image: prompts or classes in turn; else the one image, or "" for any."""
        choices = self.classes or [self.image]
        if self.prompted:
            choices = [prompt for several in zip(*map(digit_prompts, range(10)), strict=True) for prompt in several]
        return [choices[n % len(choices)] for n in range(count)]

    def images(
        self,
        ids: Sequence[str],
        wanted: Sequence[str],
        settings: "SettingSamplingParams",
        *,
        seed: int,
        batch_size: int,
        on_step: OnStep = ignore,
    ) -> np.ndarray:
        """Sample what is wanted, uint8 [n, H, W, 3]; the noise is keyed by id and seed.

        An unknown class or word is refused, and so is guidance where there is no condition. `on_step` sees the first
        batch alone.
        """
        parts = []
        for start in range(0, len(ids), batch_size):
            part = slice(start, start + batch_size)
            x0 = sample(
                self.denoise(wanted[part], settings.guidance_scale), self.denoiser.schedule, ids[part], self.shape,
                settings, seed=seed, device=self.device, on_step=ignore if start else on_step,
            )  # fmt: skip
            parts.append(self.pixels(x0, ids[part]))
        return np.concatenate(parts)

    def denoise(self, wanted: Sequence[str], guidance_scale: float) -> Denoise:
        """The guided denoiser for some classes or prompts."""
        condition = self.condition(wanted)
        if condition:
            empty = 0 if self.prompted else len(self.classes)
            without = {name: torch.full_like(tensor, empty) for name, tensor in condition.items()}
            return guided(self.denoiser, condition, without, guidance_scale)
        if guidance_scale != 1:
            raise DifflabError(
                f"guidance_scale is {guidance_scale:g}, but this model has no condition to guide by: set it to 1"
            )
        return self.denoiser

    def condition(self, wanted: Sequence[str]) -> Condition:
        """Arguments of the network for some classes or prompts; empty where it takes none."""
        if self.prompted:
            return {"tokens": self.denoiser.network.prompts.vocabulary.encode(wanted).to(self.device)}
        return {"class_labels": class_numbers(wanted, self.classes).to(self.device)} if self.classes else {}

    def pixels(self, x0: Tensor, ids: Sequence[str] = ()) -> np.ndarray:
        """What the network makes, as uint8 [n, H, W, 3]; values outside [-1, 1] are clipped, never wrapped."""
        if self.vae is not None:
            return decode(self.vae, x0, ids)
        return to_uint8(x0.expand(-1, 3, -1, -1), ids)


def load_sampler(folder: Path, device: torch.device) -> SeriesSampler:
    """The sampler of one training, `<setting>/seed-<n>`; with a folder `vae` beside the network it works in latents.

    Raises:
        DifflabError: it is missing, damaged, or the model of another setting than the folder's name says.
    """
    remedy, setting = f"`dvc checkout {folder.parent}` puts it back", folder.parent.name
    try:
        denoiser, description = load_denoiser(folder, device)
        by_class = getattr(getattr(denoiser.network, "config", None), "num_class_embeds", None)
        classes = description["classes"] if by_class else []
        vae = load_vae(folder / "vae", device) if (folder / "vae").is_dir() else None
        sampler = SeriesSampler(denoiser, tuple(description["shape"]), classes, vae, description.get("image", ""))
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise DifflabError(f"{folder} holds no whole setting of the DDPM series ({why}): {remedy}") from error
    expected = setting == "text", setting in BY_CLASS, setting == "latent"
    if setting in SETTINGS and expected != (sampler.prompted, bool(classes), vae is not None):
        told = "prompts" if sampler.prompted else "classes" if classes else "nothing"
        raise DifflabError(f"{folder} holds the model of another setting, told {told}: {remedy}")
    return sampler

"""One contract for every diffusion network: x0 = D(x, sigma, condition), with x = x0 + sigma * noise.

Samplers, losses and pictures of the process know this function only. What the network itself was taught is
the denoiser's own affair.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from difflab.core.base.store.tensors import per_sample

if TYPE_CHECKING:
    from difflab.ddpm.common.schedule import Schedule
    from difflab.ddpm.params import Prediction

Condition = Mapping[str, Tensor]
Denoise = Callable[[Tensor, Tensor], Tensor]
"""(x [B, C, H, W], sigma [B]) -> the expected clean image [B, C, H, W]."""


class Denoiser(nn.Module):
    """A network of diffusers behind the contract.

    With s = sigma, and abar = 1 / (1 + s^2) as in DDPM, the network F is given
        sqrt(abar) x     epsilon (Ho et al. 2020), v (Salimans and Ho 2022, appendix D), x0
        x / (1 + s)      flow: the straight path (1 - tau) x0 + tau noise at tau = s / (1 + s) (Liu et al. 2022)
    and the clean image is
        x - s F                              epsilon: F is the noise
        abar x - s sqrt(abar) F              v: F is sqrt(abar) noise - sqrt(1 - abar) x0
        F                                    x0
        (x - s F) / (1 + s)                  flow: F is noise - x0

    Args:
        network: `UNet2DModel`, `UNet2DConditionModel` or `DRUNet`; its timestep is an index of the schedule.
        schedule: the noise levels that it was, or will be, trained on.
        prediction: what F is.
        patch_size: the network sees squares of so many pixels as channels, see `in_patches`.
    """

    def __init__(self, network: nn.Module, schedule: "Schedule", prediction: "Prediction", patch_size: int = 1) -> None:
        super().__init__()
        self.network, self.schedule, self.prediction = network, schedule, prediction
        self.patch_size = patch_size

    def forward(self, x: Tensor, sigma: Tensor, condition: Condition | None = None) -> Tensor:
        """The expected clean images, float32 [B, C, H, W], of noisy ones x with noise sigma, float32 [B].

        `condition` has further arguments of the network, e.g. {"class_labels": int64 [B]}.
        """
        s = per_sample(sigma, x)
        root_abar = (1 + s.square()).rsqrt()
        scaled = x / (1 + s) if self.prediction == "flow" else root_abar * x
        timestep = self.schedule.timestep(sigma)
        output = in_patches(self.network, self.patch_size, scaled, timestep, condition or {})
        if self.prediction == "epsilon":
            return x - s * output
        if self.prediction == "v":
            return root_abar.square() * x - s * root_abar * output
        if self.prediction == "flow":
            return (x - s * output) / (1 + s)
        return output


def in_patches(network: nn.Module, patch_size: int, x: Tensor, timestep: Tensor, condition: Condition) -> Tensor:
    """The network's prediction, float32 [B, C, H, W], for images [B, C, H, W] that it sees folded.

    A network at a quarter of the places costs about a quarter, and small pixel models lose little by it (Hoogeboom
    et al. 2023, "simple diffusion", section 3.2).
    """
    output = network(fold(x, patch_size), timestep, **condition, return_dict=False)[0].float()
    return functional.pixel_shuffle(output, patch_size) if patch_size > 1 else output


def fold(x: Tensor, patch_size: int) -> Tensor:
    """[B, C, H, W] to [B, C p^2, H / p, W / p] with p = `patch_size`."""
    return functional.pixel_unshuffle(x, patch_size) if patch_size > 1 else x


def guided(denoiser: Denoiser, condition: Condition, empty: Condition, scale: float) -> Denoise:
    """Classifier-free guidance (Ho and Salimans 2022, equation 6): D = D_empty + scale (D_condition - D_empty).

    Both conditions, of equal shapes, go through one pass. At scale 1 the empty one has no effect and is left out.
    """
    if scale == 1:
        return lambda x, sigma: denoiser(x, sigma, condition)
    both = {name: torch.cat([empty[name], value]) for name, value in condition.items()}

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        without, with_it = denoiser(torch.cat([x, x]), torch.cat([sigma, sigma]), both).chunk(2)
        return without + scale * (with_it - without)

    return denoise

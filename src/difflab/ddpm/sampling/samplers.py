"""From noise to images: one loop around diffusers' schedulers, and Euler-Maruyama, which they lack.

A sampler knows the model as `denoise(x, sigma) -> x0` only, in the coordinates x = x0 + sigma * noise. DDPM,
DDIM and DPM-Solver++ of diffusers work on sqrt(abar) x, Heun on x itself.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.store.tensors import check_finite

if TYPE_CHECKING:
    from diffusers.schedulers import SchedulerMixin

    from difflab.ddpm.common.denoiser import Denoise
    from difflab.ddpm.common.schedule import Schedule
    from difflab.ddpm.params import Sampler, SettingSamplingParams

OnStep = Callable[[float, Tensor, Tensor], None]
"""Called with (sigma, x, x0) before each step; x and x0 are [B, C, H, W]."""


def ignore(sigma: float, x: Tensor, x0: Tensor) -> None:
    """The `OnStep` of those who want the image alone."""


@torch.no_grad()
def sample(
    denoise: "Denoise",
    schedule: "Schedule",
    ids: Sequence[str],
    shape: tuple[int, int, int],
    settings: "SettingSamplingParams",
    *,
    seed: int,
    device: torch.device | str = "cpu",
    on_step: OnStep = ignore,
) -> Tensor:
    """Sample one image for each id, float32 [len(ids), *shape].

    All noise is keyed by seed and id: an image depends neither on the others nor on the batch size, beyond rounding.
    A number of steps that the sampler cannot take is refused.

        ddpm            Ho et al. 2020, ancestral with the posterior variance
        ddim            Song, Meng and Ermon 2021, equation 12; eta 0 is deterministic, 1 has the variance of ddpm
        heun            Karras et al. 2022, algorithm 1, deterministic; two calls of the model for each step but the last
        dpm++           Lu et al. 2022, second order multistep
        euler_maruyama  the reverse SDE of Song et al. 2021, equation 6
    """
    sampler, steps, levels = settings.sampler, settings.num_inference_steps, len(schedule)
    if steps > levels:
        raise DifflabError(f"num_inference_steps is {steps}, but the schedule has 1 to {levels} levels")
    if sampler in ("ddpm", "ddim") and levels % steps:  # past the levels they stand on, they step back by T // steps
        raise DifflabError(
            f"num_inference_steps is {steps}: {sampler} needs a divisor of the schedule's {levels} levels"
        )
    keys = rng.fold(rng.id_keys(ids), rng.key(seed, "sampling")).to(device)
    start = rng.normal(rng.fold(keys, rng.key(0, "start")), shape)
    if sampler == "euler_maruyama":
        return _euler_maruyama(denoise, schedule, ids, start, keys, steps, on_step)
    scheduler = make_scheduler(sampler, schedule)
    scheduler.set_timesteps(steps, device=device)
    options: dict[str, Any] = {"eta": settings.eta} if sampler == "ddim" else {}
    if sampler in ("ddpm", "ddim"):
        options["generator"] = [torch.Generator(device).manual_seed(key) for key in keys.tolist()]
    scaled = sampler != "heun"  # whether the scheduler's x is sqrt(abar) times ours
    x = start * (1.0 if scaled else scheduler.init_noise_sigma)
    for number, timestep in enumerate(scheduler.timesteps):
        sigma = (schedule.sigmas[int(timestep)] if scaled else scheduler.sigmas[number]).item()
        ours = x * (1 + sigma**2) ** 0.5 if scaled else x
        x0 = denoise(ours, x.new_full((len(x),), sigma))
        check_finite(x0, ids, f"step {number + 1} of {len(scheduler.timesteps)}: the estimate")
        on_step(sigma, ours, x0)
        output = x0 if scaled else (ours - x0) / sigma
        x = scheduler.step(output, timestep, x, **options).prev_sample
    return x


def make_scheduler(sampler: "Sampler", schedule: "Schedule") -> "SchedulerMixin":
    """diffusers' scheduler with the betas of `schedule`; it is told x0, or the noise where it takes no x0."""
    from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, HeunDiscreteScheduler

    abar = torch.cat([torch.ones(1, dtype=torch.float64), schedule.alphas_cumprod])
    betas = (1 - abar[1:] / abar[:-1]).numpy().astype(np.float64)
    common = {"num_train_timesteps": len(schedule), "trained_betas": betas}
    if sampler == "heun":
        return HeunDiscreteScheduler(**common, prediction_type="epsilon", use_karras_sigmas=True)
    common |= {"prediction_type": "sample", "timestep_spacing": "trailing"}
    if sampler == "dpm++":
        return DPMSolverMultistepScheduler(**common, final_sigmas_type="zero")
    if sampler == "ddim":
        return DDIMScheduler(**common, clip_sample=False, set_alpha_to_one=True)
    return DDPMScheduler(**common, clip_sample=False)


def karras_sigmas(schedule: "Schedule", count: int, rho: float = 7.0) -> Tensor:
    """`count` sigmas from the largest of the schedule to its least, and 0 (Karras et al. 2022, equation 5)."""
    low, high = (schedule.sigmas[i].item() ** (1 / rho) for i in (0, -1))
    ramp = torch.linspace(0, 1, count, dtype=torch.float64)
    return torch.cat([(high + ramp * (low - high)) ** rho, torch.zeros(1, dtype=torch.float64)])


def _euler_maruyama(
    denoise: "Denoise",
    schedule: "Schedule",
    ids: Sequence[str],
    start: Tensor,
    keys: Tensor,
    steps: int,
    on_step: OnStep,
) -> Tensor:
    """dx = -2 sigma score dsigma + sqrt(2 sigma dsigma) dw backwards in sigma, score = (D(x) - x) / sigma^2.

    The exact drift and noise of a step from s to u: with d = s^2 - u^2, x + d score + sqrt(d) z.
    """
    sigmas = karras_sigmas(schedule, steps).tolist()
    x = start * sigmas[0]
    for number, (sigma, after) in enumerate(pairwise(sigmas)):
        x0 = denoise(x, x.new_full((len(x),), sigma))
        check_finite(x0, ids, f"step {number + 1} of {steps}: the estimate")
        on_step(sigma, x, x0)
        if after == 0:
            return x0
        variance = sigma**2 - after**2
        noise = rng.normal(rng.fold(keys, rng.key(0, "walk", number)), x.shape[1:])
        x = x + variance / sigma**2 * (x0 - x) + variance**0.5 * noise
    return x

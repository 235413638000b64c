"""From noise to images: one loop around diffusers' schedulers, and Euler-Maruyama, which they lack.

A sampler knows the model as `denoise(x, sigma) -> x0` only, in the coordinates x = x0 + sigma * noise. DDPM,
DDIM and DPM-Solver++ of diffusers work on sqrt(abar) x, Heun on x itself.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from diffusers.schedulers import SchedulerMixin

    from difflab.ddpm.networks.denoiser import Denoise
    from difflab.ddpm.networks.schedule import Schedule

Sampler = Literal["ddpm", "ddim", "heun", "dpm++", "euler_maruyama"]
SAMPLERS: tuple[Sampler, ...] = ("ddpm", "ddim", "heun", "dpm++", "euler_maruyama")
OnStep = Callable[[float, Tensor, Tensor], None]
"""Called with (sigma, x, x0) before each step; x and x0 are [B, C, H, W]."""


@torch.no_grad()
def sample(
    denoise: "Denoise",
    schedule: "Schedule",
    ids: Sequence[str],
    shape: tuple[int, int, int],
    *,
    sampler: Sampler,
    num_inference_steps: int,
    seed: int,
    eta: float = 0.0,
    device: torch.device | str = "cpu",
    on_step: OnStep = lambda sigma, x, x0: None,
) -> Tensor:
    """Sample one image for each id, float32 [len(ids), *shape].

    All noise is keyed by seed and id: an image depends neither on the others nor on the batch size, beyond
    rounding.

    Args:
        sampler: ddpm (Ho et al. 2020, ancestral with the posterior variance), ddim (Song, Meng and Ermon 2021,
            equation 12), heun (Karras et al. 2022, algorithm 1, deterministic), dpm++ (Lu et al. 2022,
            second order multistep), euler_maruyama (the reverse SDE of Song et al. 2021, equation 6).
        num_inference_steps: levels of noise; heun calls the model twice for each but the last.
        eta: of ddim: 0 deterministic, 1 the variance of ddpm.
        on_step: see `OnStep`.

    Raises:
        DifflabError: an unknown sampler, or a number of steps that it cannot take.
    """
    if sampler not in SAMPLERS:
        raise DifflabError(f"unknown sampler '{sampler}': one of {', '.join(SAMPLERS)}")
    if not 1 <= num_inference_steps <= len(schedule):
        raise DifflabError(
            f"num_inference_steps is {num_inference_steps}, but the schedule has 1 to {len(schedule)} levels"
        )
    if sampler in ("ddpm", "ddim") and len(schedule) % num_inference_steps:
        raise DifflabError(  # their schedulers step back by T // steps, past the levels they stand on
            f"num_inference_steps is {num_inference_steps}: {sampler} needs a divisor of the schedule's "
            f"{len(schedule)} levels"
        )
    keys = rng.fold(rng.id_keys(ids), rng.key(seed, "sampling")).to(device)
    start = rng.normal(rng.fold(keys, rng.key(0, "start")), shape)
    if sampler == "euler_maruyama":
        return _euler_maruyama(denoise, schedule, start, keys, num_inference_steps, on_step)
    scheduler = make_scheduler(sampler, schedule)
    scheduler.set_timesteps(num_inference_steps, device=device)
    options = {}
    if sampler in ("ddpm", "ddim"):
        options["generator"] = [torch.Generator(device).manual_seed(key) for key in keys.tolist()]
    if sampler == "ddim":
        options["eta"] = eta
    scaled = sampler != "heun"  # whether the scheduler's x is sqrt(abar) times ours
    x = start * (1.0 if scaled else scheduler.init_noise_sigma)
    for number, timestep in enumerate(scheduler.timesteps):
        sigma = _sigma(scheduler, schedule, timestep, number, sampler)
        ours = x * (1 + sigma**2) ** 0.5 if scaled else x
        x0 = denoise(ours, x.new_full((len(x),), sigma))
        on_step(sigma, ours, x0)
        output = x0 if scaled else (ours - x0) / sigma
        x = scheduler.step(output, timestep, x, **options).prev_sample
    return x


def make_scheduler(sampler: Sampler, schedule: "Schedule") -> "SchedulerMixin":
    """diffusers' scheduler with the betas of `schedule`; it is told x0, or the noise where it takes no x0."""
    from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, HeunDiscreteScheduler

    abar = torch.cat([torch.ones(1, dtype=torch.float64), schedule.alphas_cumprod])
    common = {
        "num_train_timesteps": len(schedule),
        "trained_betas": (1 - abar[1:] / abar[:-1]).numpy().astype(np.float64),
    }
    if sampler == "ddpm":
        return DDPMScheduler(**common, prediction_type="sample", clip_sample=False, timestep_spacing="trailing")
    if sampler == "ddim":
        return DDIMScheduler(
            **common, prediction_type="sample", clip_sample=False, timestep_spacing="trailing", set_alpha_to_one=True
        )
    if sampler == "dpm++":
        return DPMSolverMultistepScheduler(
            **common, prediction_type="sample", timestep_spacing="trailing", final_sigmas_type="zero"
        )
    return HeunDiscreteScheduler(**common, prediction_type="epsilon", use_karras_sigmas=True)


def _sigma(scheduler: "SchedulerMixin", schedule: "Schedule", timestep: Tensor, number: int, sampler: Sampler) -> float:
    """Our sigma at a step of the scheduler."""
    if sampler == "heun":
        return scheduler.sigmas[number].item()
    return schedule.sigmas[int(timestep)].item()


def karras_sigmas(schedule: "Schedule", count: int, rho: float = 7.0) -> Tensor:
    """`count` sigmas from the largest of the schedule to its least, and 0 (Karras et al. 2022, equation 5)."""
    low, high = (schedule.sigmas[i].item() ** (1 / rho) for i in (0, -1))
    ramp = torch.linspace(0, 1, count, dtype=torch.float64)
    return torch.cat([(high + ramp * (low - high)) ** rho, torch.zeros(1, dtype=torch.float64)])


def _euler_maruyama(
    denoise: "Denoise", schedule: "Schedule", start: Tensor, keys: Tensor, steps: int, on_step: OnStep
) -> Tensor:
    """dx = -2 sigma score dsigma + sqrt(2 sigma dsigma) dw backwards in sigma, score = (D(x) - x) / sigma^2.

    The exact drift and noise of a step from s to u: with d = s^2 - u^2, x + d score + sqrt(d) z.
    """
    sigmas = karras_sigmas(schedule, steps).tolist()
    x = start * sigmas[0]
    for number, (sigma, after) in enumerate(pairwise(sigmas)):
        x0 = denoise(x, x.new_full((len(x),), sigma))
        on_step(sigma, x, x0)
        if after == 0:
            return x0
        variance = sigma**2 - after**2
        noise = rng.normal(rng.fold(keys, rng.key(0, "walk", number)), x.shape[1:])
        x = x + variance / sigma**2 * (x0 - x) + variance**0.5 * noise
    return x

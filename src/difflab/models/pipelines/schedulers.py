"""The schedulers of released pipelines by short names, and the reason why a model cannot take one.

own          what the model came with
ddpm         ancestral, with the posterior variance (Ho et al. 2020)
ddim         deterministic, eta 0 (Song, Meng and Ermon 2021)
euler        Euler steps of the probability flow in sigma (Karras et al. 2022)
dpm++        second order multistep (Lu et al. 2022, "DPM-Solver++")
flow-match   Euler steps on the straight paths of rectified flow (Liu et al. 2022; Esser et al. 2024)
"""

from typing import TYPE_CHECKING, get_args

from difflab.core.base.errors import DifflabError
from difflab.models.params import SchedulerName

if TYPE_CHECKING:
    from diffusers.schedulers import SchedulerMixin

SCHEDULERS = get_args(SchedulerName)
_LEAST_REACH = 0.95


def is_flow(own: "SchedulerMixin") -> bool:
    """Whether a model was trained on the straight paths of rectified flow, as its own scheduler tells."""
    return "FlowMatch" in type(own).__name__


def refusal(name: str, own: "SchedulerMixin", num_inference_steps: int) -> str:
    """Why a model with the scheduler `own` cannot be sampled so, as one sentence; empty where it can."""
    if name not in SCHEDULERS:
        raise DifflabError(f"unknown scheduler '{name}': one of {', '.join(SCHEDULERS)}")
    total = own.config.num_train_timesteps
    if not 1 <= num_inference_steps <= total:
        return f"{num_inference_steps} steps: the model knows 1 to {total} levels of noise"
    if is_flow(own):
        unfit = name not in ("own", "flow-match")
        return f"{name}: a flow model predicts velocities on straight paths, take flow-match" if unfit else ""
    if name == "flow-match":
        return "flow-match: the model was not trained on straight paths, take ddim or euler"
    # DDIM, and any scheduler with leading timesteps, steps by T // steps: some numbers miss the noisiest levels.
    leading = own.config.get("timestep_spacing") == "leading"
    reach = total // num_inference_steps * num_inference_steps
    if reach < _LEAST_REACH * total and (name == "ddim" or (name == "ddpm" and leading)):
        divisor = next(n for n in range(num_inference_steps, total + 1) if total % n == 0)
        return f"{num_inference_steps} steps of {name} cover {reach} of {total} levels of noise, take {divisor}"
    return ""


def pipeline_scheduler(name: str, own: "SchedulerMixin") -> "SchedulerMixin":
    """A fresh scheduler with the model's own noise levels and prediction.

    DDPM and DDIM keep the model's own choice of timesteps. Euler and DPM-Solver++ start at the noisiest level
    whatever the number of steps ("trailing", Lin et al. 2024, "Common diffusion noise schedules and sample steps
    are flawed", table 2). `refusal` has nothing against the name.
    """
    from diffusers import schedulers

    if name == "own":
        return type(own).from_config(own.config)
    if name == "flow-match":
        return schedulers.FlowMatchEulerDiscreteScheduler.from_config(own.config)
    if name in ("ddpm", "ddim"):
        kind = schedulers.DDPMScheduler if name == "ddpm" else schedulers.DDIMScheduler
        return kind.from_config(own.config, clip_sample=False)  # latents have no range to be clipped to
    kind = schedulers.EulerDiscreteScheduler if name == "euler" else schedulers.DPMSolverMultistepScheduler
    return kind.from_config(own.config, timestep_spacing="trailing")

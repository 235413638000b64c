"""The schedulers of released pipelines by short names, and the reason why a model cannot take one.

own          what the model came with
ddpm         ancestral, with the posterior variance (Ho et al. 2020)
ddim         deterministic, eta 0 (Song, Meng and Ermon 2021)
euler        Euler steps of the probability flow in sigma (Karras et al. 2022)
dpm++        second order multistep (Lu et al. 2022, "DPM-Solver++")
flow-match   Euler steps on the straight paths of rectified flow (Liu et al. 2022; Esser et al. 2024)

One rule where a checkpoint's scheduler_config.json and the study differ: what the network was trained on (prediction,
noise levels, shift) is the checkpoint's, and how samples are drawn from it is the study's. What that overrules is said.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json
from difflab.core.base.pretrained import pretrained
from difflab.models.params import SchedulerName

if TYPE_CHECKING:
    from diffusers.schedulers import DDPMScheduler, FlowMatchEulerDiscreteScheduler, SchedulerMixin

SCHEDULERS = get_args(SchedulerName)
TRAINED = (
    "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "rescale_betas_zero_snr",
    "prediction_type", "shift", "use_dynamic_shifting", "base_shift", "max_shift", "base_image_seq_len",
    "max_image_seq_len", "time_shift_type",
)  # fmt: skip
"""What a network was trained on, as its scheduler's configuration names it; the last six are of flow models."""
_TIMES = (
    "timestep_spacing",
    "steps_offset",
    "set_alpha_to_one",
)  # the model's own choice of DDPM's and DDIM's timesteps
_PREDICTIONS = ("epsilon", "v_prediction", "sample")  # what all of them but `own` read
NUM_TRAIN_TIMESTEPS = 1000  # of the flow models that are adapted
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
    if name != "own" and not _has_betas(own):
        return f"{name}: the model's {type(own).__name__} has other noise levels than a schedule of betas, take own"
    if name != "own" and (predicted := own.config.get("prediction_type", "epsilon")) not in _PREDICTIONS:
        return f"{name}: the model predicts '{predicted}', which is none of {', '.join(_PREDICTIONS)}"
    # DDIM, and any scheduler with leading timesteps, steps by T // steps: some numbers miss the noisiest levels.
    leading = own.config.get("timestep_spacing") == "leading"
    reach = total // num_inference_steps * num_inference_steps
    if reach < _LEAST_REACH * total and (name == "ddim" or (name == "ddpm" and leading)):
        divisor = next(n for n in range(num_inference_steps, total + 1) if total % n == 0)
        return f"{num_inference_steps} steps of {name} cover {reach} of {total} levels of noise, take {divisor}"
    return ""


def pipeline_scheduler(name: str, own: "SchedulerMixin") -> "SchedulerMixin":
    """A fresh scheduler with the model's own noise levels and prediction, and nothing else of its configuration.

    DDPM and DDIM keep the model's own choice of timesteps. Euler and DPM-Solver++ start at the noisiest level
    whatever the number of steps ("trailing", Lin et al. 2024, "Common diffusion noise schedules and sample steps
    are flawed", table 2). `refusal` has nothing against the name.
    """
    from diffusers import schedulers

    if name == "own":
        return type(own).from_config(own.config)
    if name == "flow-match":
        return _made(schedulers.FlowMatchEulerDiscreteScheduler, own, TRAINED)
    if name in ("ddpm", "ddim"):
        kind = schedulers.DDPMScheduler if name == "ddpm" else schedulers.DDIMScheduler
        return _made(kind, own, (*TRAINED, *_TIMES), clip_sample=False)  # latents have no range to be clipped to
    kind = schedulers.EulerDiscreteScheduler if name == "euler" else schedulers.DPMSolverMultistepScheduler
    return _made(kind, own, TRAINED, timestep_spacing="trailing")


def noise_schedule(own: "SchedulerMixin", name: object) -> "DDPMScheduler":
    """The noise that a model of discrete levels was trained on: sqrt(abar) x0 + sqrt(1 - abar) noise at each timestep.

    A scheduler's own `add_noise` may have another scaling (Euler's x0 + sigma noise) and the timesteps of a sampling.

    Raises:
        DifflabError: the model `name` has no schedule of betas.
    """
    from diffusers.schedulers import DDPMScheduler

    if not _has_betas(own):
        raise DifflabError(
            f"{name}: its {type(own).__name__} has other noise levels than a schedule of betas: such a model is not trained"
        )
    known = DDPMScheduler().config
    return DDPMScheduler.from_config({k: own.config[k] for k in TRAINED if k in known and k in own.config})


def _has_betas(own: "SchedulerMixin") -> bool:
    return "beta_schedule" in own.config


def flow_scheduler(own: "SchedulerMixin", name: object) -> "FlowMatchEulerDiscreteScheduler":
    """The Euler steps of `sd3.sampling` on the noise levels of a flow model, whose scheduler `own` is.

    Raises:
        DifflabError: the model `name` is no flow model of 1,000 levels, whose shift is one number.
    """
    from diffusers.schedulers import FlowMatchEulerDiscreteScheduler

    if not is_flow(own):
        raise DifflabError(
            f"{name}: its scheduler is a {type(own).__name__}, and a base must be a flow model (FlowMatchEuler...)"
        )
    if (levels := own.config.num_train_timesteps) != NUM_TRAIN_TIMESTEPS:
        raise DifflabError(f"{name}: it was trained with {levels} timesteps; {NUM_TRAIN_TIMESTEPS} are needed")
    if own.config.get("use_dynamic_shifting"):
        raise DifflabError(
            f"{name}: its noise levels depend on the size of the picture (use_dynamic_shifting): a fixed shift is needed"
        )
    return _made(FlowMatchEulerDiscreteScheduler, own, TRAINED)


def load_scheduler(folder: str | Path) -> "FlowMatchEulerDiscreteScheduler":
    """The Euler steps on the noise levels that the sub-folder `scheduler` says, see `flow_scheduler`."""
    from diffusers import schedulers

    place = Path(folder) / "scheduler"
    name = read_json(place / "scheduler_config.json").get("_class_name")
    kind = getattr(schedulers, str(name), None)
    if not isinstance(kind, type) or not issubclass(kind, schedulers.SchedulerMixin):
        raise DifflabError(f"{place}: diffusers has no scheduler '{name}'")
    return flow_scheduler(pretrained(kind, place), place)


def _made(kind: Any, own: "SchedulerMixin", kept: tuple[str, ...], **chosen: object) -> Any:
    """A scheduler with the `kept` values of the model's own; a warning names others that would have changed the samples."""
    defaults, config = kind().config, own.config
    other = [k for k in defaults if k in config and not k.startswith("_") and k not in (*kept, *_TIMES, *chosen)]
    if said := ", ".join(f"{k}={config[k]}" for k in sorted(other) if config[k] != defaults[k]):
        warnings.warn(
            f"the model's own {said} of its scheduler is overruled by the study's {kind.__name__}", stacklevel=3
        )
    return kind.from_config({k: config[k] for k in kept if k in config}, **chosen)

"""What a run was made with: the values that decide each study, the processor and the versions of its libraries."""

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from difflab.core.environment import LIBRARIES, installed, mismatches
from difflab.core.params.loading import dotted
from difflab.ddpm.settings import SETTING_NAMES
from difflab.report.markdown import table

HYPERPARAMETERS = {
    "SD3 LoRA": {
        "LoRA rank": "finetune.lora.rank",
        "LoRA alpha": "finetune.lora.alpha",
        "LoRA targets": "finetune.lora.targets",
        "steps": "finetune.training.steps",
        "batch size": "finetune.training.batch_size",
        "learning rate": "finetune.training.learning_rate",
        "learning rate schedule": "finetune.training.lr_scheduler",
        "prompt dropout": "finetune.training.prompt_dropout",
        "timestep density": "finetune.density.weighting_scheme",
        "convention of m": "finetune.density.convention",
        "shift": "finetune.density.shift",
        "sampling steps": "generate.num_inference_steps",
        "guidance scale": "generate.guidance_scale",
        "generation seeds": "generate.seeds",
    },
    "denoising": {
        "noise σ": "denoise.sigma",
        "network": "denoise.unet.kind",
        "steps": "denoise.training.steps",
        "steps of v0": "denoise.v0_steps",
        "batch size": "denoise.training.batch_size",
        "learning rate": "denoise.training.learning_rate",
    },
    "cold diffusion": {
        "steps": "cold.training.steps",
        "batch size": "cold.training.batch_size",
        "learning rate": "cold.training.learning_rate",
    },
    "synthetic images": {
        "sampling steps": "synthesize.num_inference_steps",
        "guidance scale": "synthesize.guidance_scale",
        "scheduler": "synthesize.scheduler",
    },
    "captioner": {
        "LoRA rank": "captioner.lora.rank",
        "LoRA alpha": "captioner.lora.alpha",
        "LoRA dropout": "captioner.lora.dropout",
        "steps": "captioner.training.steps",
        "batch size": "captioner.training.batch_size",
        "learning rate": "captioner.training.learning_rate",
        "beams": "captioner.decoding.num_beams",
    },
}
SERIES = {
    "size": "ddpm.{}.image_size",
    "prediction": "ddpm.{}.objective.prediction",
    "schedule": "ddpm.{}.schedule.kind",
    "steps": "ddpm.{}.training.steps",
    "batch": "ddpm.{}.training.batch_size",
    "learning rate": "ddpm.{}.training.learning_rate",
    "sampler": "ddpm_sample.{}.sampler",
    "sampling steps": "ddpm_sample.{}.num_inference_steps",
    "guidance": "ddpm_sample.{}.guidance_scale",
}


def hyperparameters(params: Mapping[str, Any]) -> str:
    """The deciding values of each study, a row for each study.

    Args:
        params: nested parameters.
    """
    values = dotted(params)
    rows = [
        [study, "; ".join(f"{name} {_shown(values[path])}" for name, path in named.items())]
        for study, named in HYPERPARAMETERS.items()
    ]
    return table(["study", "values"], rows, numbers=False)


def series(params: Mapping[str, Any]) -> str:
    """The same for the settings of the DDPM series, a column for each value."""
    values = dotted(params)
    rows = [
        [name, *(_shown(values[path.format(setting)]) for path in SERIES.values())]
        for setting, name in SETTING_NAMES.items()
    ]
    return table(["setting", *SERIES], rows)


def machine() -> str:
    """One sentence: processor, accelerators, Python and the versions of the libraries that decide results."""
    versions = ", ".join(f"{name} {installed(name)}" for name in LIBRARIES)
    if other := mismatches():
        versions += f" (locked: {', '.join(other)})"
    made = [f"{_processor()} ({platform.machine()})", *_accelerators(), f"{platform.system()}"]
    return f"{', '.join(made)}, Python {platform.python_version()}; {versions}"


def _processor() -> str:
    """The processor's name as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.processor() or "unknown processor"


def _accelerators() -> list[str]:
    """The names of NVIDIA's devices, without loading torch."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return []
    texts = (path.read_text() for path in Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return sorted(found[1] for text in texts if (found := re.search(r"Model:\s*(.+)", text)))


def _shown(value: Any) -> str:
    if value is None:
        return "= rank"  # alpha
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)

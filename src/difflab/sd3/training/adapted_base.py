"""The base that adapters are trained on."""

from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from difflab.core.base import runtime
from difflab.core.base.roles import load_transformer
from difflab.models.lora import load_quantised
from difflab.models.sampling.schedulers import load_scheduler
from difflab.sd3.artifacts.adapters import as_base

if TYPE_CHECKING:
    from difflab.core.params.common import RuntimeParams
    from difflab.models.params import BasePrecision


def load_base(folder: Path, precision: "BasePrecision", machine: "RuntimeParams") -> nn.Module:
    """The transformer to adapt: in `runtime.dtype` on the CPU, or quantised on the GPU."""
    dtype = runtime.resolve_dtype(machine.dtype)
    load_scheduler(folder)  # a base that `generate` would refuse is not trained
    full = load_transformer(folder, dtype=dtype)
    if precision == "full":
        return full
    return as_base(load_quantised(folder, precision, runtime.resolve_device(machine.device), dtype), full)

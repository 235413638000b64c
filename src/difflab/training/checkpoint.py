"""The whole state of a training run in one safetensors file: a resumed run equals an uninterrupted one.

Tensors: trainable parameters (and buffers beside them), optimizer moments, the weight average, the best weights.
    Everything else (step, schedule, curve rows) is JSON in the file's metadata; JSON keeps a float64 exactly.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path


def trained_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """The trained parameters, and the buffers of the modules that own one (batch-norm statistics)."""
    tensors = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for prefix, module in model.named_modules():
        if any(p.requires_grad for p in module.parameters(recurse=False)):
            tensors |= {f"{prefix}.{name}": b for name, b in module.named_buffers(recurse=False)}
    return tensors


@torch.no_grad()
def put_tensors(model: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Copy values into the `trained_tensors` of a model."""
    for name, target in trained_tensors(model).items():
        target.copy_(tensors[name])


def identity(model: nn.Module, settings: Any) -> str:
    """A hash of the settings and of the names and shapes of what is trained; a state must have the same."""
    shapes = {name: list(t.shape) for name, t in sorted(trained_tensors(model).items())}
    text = json.dumps([settings, shapes], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def save_state(
    path: Path,
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    progress: dict[str, Any],
    identity: str,
    ema: Any = None,
    best: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write the state atomically.

    Args:
        progress: JSON values that the loop needs to go on: step, curve rows.
        identity: what `load_state` must find.
        ema: a diffusers `EMAModel`, or None.
        best: the `trained_tensors` of the step that is the best so far.
    """
    state = optimizer.state_dict()
    tensors = {f"model/{name}": t for name, t in trained_tensors(model).items()}
    for index, moments in state["state"].items():
        tensors |= {f"optimizer/{index}/{name}": t for name, t in moments.items()}
    if ema is not None:
        tensors |= {f"ema/{index:05d}": t for index, t in enumerate(ema.shadow_params)}
    tensors |= {f"best/{name}": t for name, t in (best or {}).items()}
    facts = {
        "identity": identity,
        "progress": progress,
        "param_groups": state["param_groups"],
        "schedule": {k: v for k, v in schedule.state_dict().items() if k != "lr_lambdas"},
        "ema_step": ema.optimization_step if ema is not None else None,
    }
    with atomic_path(path) as temporary:
        content = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
        save_file(content, temporary, metadata={"state": json.dumps(facts)})


def load_state(
    path: Path,
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    identity: str,
    ema: Any = None,
    best: dict[str, torch.Tensor] | None = None,
) -> dict[str, Any] | None:
    """Put a saved state back (into `best` too) and return its `progress`; None where there is no state.

    Raises:
        DifflabError: the state belongs to other settings or another model.
    """
    if not path.exists():
        return None
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["state"])
        if facts["identity"] != identity:
            raise DifflabError(f"{path} is the state of other settings: delete it to start afresh")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    put_tensors(model, {n.removeprefix("model/"): t for n, t in tensors.items() if n.startswith("model/")})
    for index in range(len(ema.shadow_params) if ema is not None else 0):
        ema.shadow_params[index].copy_(tensors[f"ema/{index:05d}"])
    if best is not None:
        best |= {n.removeprefix("best/"): t for n, t in tensors.items() if n.startswith("best/")}
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            moments.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": moments, "param_groups": facts["param_groups"]})
    lay_out_moments(optimizer)
    schedule.load_state_dict({**facts["schedule"], "lr_lambdas": schedule.state_dict()["lr_lambdas"]})
    if ema is not None:
        ema.optimization_step = facts["ema_step"]
    return facts["progress"]


def lay_out_moments(optimizer: torch.optim.Optimizer) -> None:
    """Give loaded moments the memory layout of their parameters: a fused step presumes it and does not check."""
    for parameter, moments in optimizer.state.items():
        for name, moment in moments.items():
            if moment.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter).copy_(moment)

"""The whole state of a training run in one safetensors file: a resumed run equals an uninterrupted one.

Tensors: trainable parameters (and buffers beside them), optimizer moments, the weight average, the best weights.
Everything else (step, schedule, curve rows) is JSON in the file's metadata; JSON keeps a float64 exactly.
"""

import hashlib
import json
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import nn

from difflab.core.base.errors import DifflabError, Unreadable, reading
from difflab.core.base.files import atomic_path, read_tensor_facts, read_tensors

if TYPE_CHECKING:
    from diffusers.training_utils import EMAModel


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


@dataclass
class State:
    """What a training run is made of, to be saved and put back."""

    path: Path
    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    settings: Any  # JSON values; a file of other ones, or of another model, is refused
    ema: "EMAModel | None"
    best: dict[str, torch.Tensor] = field(default_factory=dict)  # `trained_tensors` of the best step so far

    def __post_init__(self) -> None:
        shapes = {name: list(t.shape) for name, t in sorted(trained_tensors(self.model).items())}
        text = json.dumps([self.settings, shapes], sort_keys=True, default=str)
        self._identity = hashlib.sha256(text.encode()).hexdigest()

    def save(self, progress: dict[str, Any]) -> None:
        """Write the state atomically, with JSON values that the loop needs to go on (step, curve rows)."""
        optimizer = self.optimizer.state_dict()
        tensors = {f"model/{name}": t for name, t in trained_tensors(self.model).items()}
        for index, moments in optimizer["state"].items():
            tensors |= {f"optimizer/{index}/{name}": t for name, t in moments.items()}
        tensors |= {f"best/{name}": t for name, t in self.best.items()}
        if self.ema is not None:
            tensors |= {f"ema/{index:05d}": t for index, t in enumerate(self.ema.shadow_params)}
        content = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
        facts = {
            "identity": self._identity,
            "progress": progress,
            "param_groups": optimizer["param_groups"],
            "schedule": {k: v for k, v in self.schedule.state_dict().items() if k != "lr_lambdas"},
            "ema_step": self.ema.optimization_step if self.ema is not None else None,
        }
        text = json.dumps(facts)
        with atomic_path(self.path) as temporary:
            save_file(content, temporary, metadata={"state": text, "checksum": _checksum(content, text)})

    def load(self) -> dict[str, Any] | None:
        """Put a saved state back and return its `progress`; None where there is no state, or a damaged one (a warning).

        Raises:
            DifflabError: the state belongs to other settings or another model.
        """
        if not self.path.exists():
            return None
        try:
            facts, content = _read(self.path)
        except Unreadable as error:
            warnings.warn(str(error), stacklevel=2)
            return None
        if facts["identity"] != self._identity:
            raise DifflabError(f"{self.path} is the state of other settings: delete it to start afresh")
        tensors: dict[str, dict[str, torch.Tensor]] = {"model": {}, "optimizer": {}, "best": self.best, "ema": {}}
        for name, tensor in content.items():
            kind, rest = name.split("/", 1)
            tensors[kind][rest] = tensor
        put_tensors(self.model, tensors["model"])
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors["optimizer"].items():
            index, key = name.split("/")
            moments.setdefault(int(index), {})[key] = tensor
        self.optimizer.load_state_dict({"state": moments, "param_groups": facts["param_groups"]})
        for parameter, own in self.optimizer.state.items():  # a fused step presumes the parameter's memory layout
            for name, moment in own.items():
                if moment.shape == parameter.shape:
                    own[name] = torch.empty_like(parameter).copy_(moment)
        self.schedule.load_state_dict({**facts["schedule"], "lr_lambdas": self.schedule.state_dict()["lr_lambdas"]})
        if self.ema is not None:
            for index, average in enumerate(self.ema.shadow_params):
                average.copy_(tensors["ema"][f"{index:05d}"])
            self.ema.optimization_step = facts["ema_step"]
        return facts["progress"]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The facts and the tensors of a state, checked against their checksum (safetensors has none)."""
    afresh = f"{path.stem} starts afresh"
    content = read_tensors(path, afresh)
    with reading(path, afresh):
        header = read_tensor_facts(path, afresh)
        if header["checksum"] != _checksum(content, header["state"]):
            raise ValueError("its checksum is another one")
        return json.loads(header["state"]), content


def _checksum(tensors: dict[str, torch.Tensor], facts: str) -> str:
    checksum = zlib.crc32(facts.encode())
    for name, tensor in sorted(tensors.items()):
        checksum = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy(), zlib.crc32(name.encode(), checksum))
    return str(checksum)

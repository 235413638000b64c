"""The anatomy of a U-Net: what each part is given, what it makes, and how many parameters it has."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn


@torch.no_grad()
def anatomy(network: nn.Module, x: Tensor, condition: Mapping[str, Tensor]) -> pd.DataFrame:
    """Run the network once and note its parts in order.

    Args:
        network: a U-Net of diffusers.
        x: one input, float32 [1, C, H, W].
        condition: further arguments.

    Returns:
        Columns part, kind, input, output (shapes without the batch), parameters, share of all parameters.
    """
    rows: list[dict[str, object]] = []
    total = sum(p.numel() for p in network.parameters())

    def note(name: str):
        def hook(module: nn.Module, given: tuple, options: dict, made: Any) -> None:
            first = next((t for t in [*given, *options.values()] if isinstance(t, Tensor)), None)
            parameters = sum(p.numel() for p in module.parameters())
            rows.append(
                {
                    "part": name,
                    "kind": type(module).__name__,
                    "input": _shape(first),
                    "output": _shape(made[0] if isinstance(made, tuple) else made),
                    "parameters": parameters,
                    "share": parameters / total,
                }
            )

        return hook

    hooks = [m.register_forward_hook(note(name), with_kwargs=True) for name, m in _parts(network)]
    try:
        network(x, torch.zeros(1, device=x.device), **condition, return_dict=False)
    finally:
        for hook in hooks:
            hook.remove()
    return pd.DataFrame(rows)


def _parts(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The parts of a U-Net that a person would draw."""
    parts = []
    for name, module in network.named_children():
        if isinstance(module, nn.ModuleList):
            parts += [(f"{name}.{n}", child) for n, child in enumerate(module)]
        elif sum(p.numel() for p in module.parameters()):
            parts.append((name, module))
    return parts


def _shape(tensor: Tensor | None) -> str:
    return "" if tensor is None else " x ".join(map(str, tensor.shape[1:]))

"""A look inside a U-Net: what each part is given and makes, and where each word of a prompt acts."""

import itertools
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from diffusers.models.attention_processor import Attention


@torch.no_grad()
def anatomy(network: nn.Module, x: Tensor, condition: Mapping[str, Tensor]) -> pd.DataFrame:
    """Run a U-Net of diffusers once, on x float32 [1, C, H, W], and note the parts that a person would draw, in order.

    Returns:
        Columns part, kind, input, output (shapes without the batch), parameters, share of all parameters.
    """
    rows: list[dict[str, object]] = []
    total = _count(network)

    def note(name: str, module: nn.Module, given: tuple, options: dict, made: Any) -> None:
        first = next((t for t in [*given, *options.values()] if isinstance(t, Tensor)), None)
        output = _shape(made[0] if isinstance(made, tuple) else made)
        row = {"part": name, "kind": type(module).__name__, "input": _shape(first), "output": output}
        rows.append(row | {"parameters": _count(module), "share": _count(module) / total})

    parts: list[tuple[str, nn.Module]] = []
    for name, module in network.named_children():
        if isinstance(module, nn.ModuleList):
            parts += [(f"{name}.{n}", child) for n, child in enumerate(module)]
        elif _count(module):
            parts.append((name, module))
    with _hooked(parts, note):
        network(x, torch.zeros(1, device=x.device), **condition, return_dict=False)
    return pd.DataFrame(rows)


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _shape(tensor: Tensor | None) -> str:
    return "" if tensor is None else " x ".join(map(str, tensor.shape[1:]))


@contextmanager
def recorded(unet: nn.Module) -> Generator[dict[str, list[Tensor]]]:
    """Keep the maps of every cross-attention layer inside the block: softmax(q k / sqrt(d)), mean over heads.

    Yields:
        By name of the layer, float32 [B, pixels, tokens] for each call.
    """
    maps: dict[str, list[Tensor]] = {}

    def note(name: str, layer: "Attention", given: tuple, options: dict, made: Tensor) -> None:
        query = layer.head_to_batch_dim(layer.to_q(given[0]))
        key = layer.head_to_batch_dim(layer.to_k(options["encoder_hidden_states"]))
        heads = layer.get_attention_scores(query, key).unflatten(0, (-1, layer.heads))
        maps.setdefault(name, []).append(heads.mean(1).float().cpu())

    with _hooked([part for part in unet.named_modules() if part[0].endswith(".attn2")], note):
        yield maps


def word_maps(maps: Mapping[str, list[Tensor]], size: int) -> Tensor:
    """The mean over layers and steps as pictures: float32 [B, tokens, size, size], summing to 1 over tokens."""
    pictures = []
    for kept in itertools.chain(*maps.values()):
        side = round(kept.shape[1] ** 0.5)
        picture = kept.transpose(1, 2).unflatten(2, (side, side))
        pictures.append(torch.nn.functional.interpolate(picture, size=(size, size), mode="bilinear"))
    return torch.stack(pictures).mean(0)


@contextmanager
def _hooked(parts: list[tuple[str, nn.Module]], note: Callable[..., None]) -> Generator[None]:
    """Inside the block call `note(name, module, arguments, options, output)` after each of the parts has run."""
    hooks = [module.register_forward_hook(partial(note, name), with_kwargs=True) for name, module in parts]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()

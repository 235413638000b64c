"""The layers of an SD3 transformer by their names in Stability AI's code, which kohya's and ComfyUI's keys follow.

There the three projections of an attention are one matrix, `qkv`, and the last block's text modulation gives shift
before scale, which diffusers has the other way round (its `convert_sd3_to_diffusers.py`).
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch

from difflab.models.adapters.updates import Update, Updates, stacked, unstacked

_BLOCK = re.compile(r"(?:transformer\.)?transformer_blocks\.(\d+)\.(.+)")
_ORIGINAL = {
    "attn.to_out.0": "x_block_attn_proj",
    "attn.to_add_out": "context_block_attn_proj",
    "attn2.to_out.0": "x_block_attn2_proj",
    "ff.net.0.proj": "x_block_mlp_fc1",
    "ff.net.2": "x_block_mlp_fc2",
    "ff_context.net.0.proj": "context_block_mlp_fc1",
    "ff_context.net.2": "context_block_mlp_fc2",
    "norm1.linear": "x_block_adaLN_modulation_1",
    "norm1_context.linear": "context_block_adaLN_modulation_1",
}
_FUSED = {
    "x_block_attn_qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "context_block_attn_qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "x_block_attn2_qkv": ("attn2.to_q", "attn2.to_k", "attn2.to_v"),
}


@dataclass(frozen=True)
class Projection:
    """Three layers of diffusers, with the component before their names, that are one matrix, and its key."""

    key: str
    layers: tuple[str, ...]


def original(module: str) -> str | None:
    """ "transformer_blocks.0.ff.net.2" as "joint_blocks_0_x_block_mlp_fc2"; None where it is no layer of a block."""
    found = _BLOCK.fullmatch(module)
    name = _ORIGINAL.get(found[2]) if found else None
    return f"joint_blocks_{found[1]}_{name}" if found and name else None


def projection(layer: str) -> Projection | None:
    """The matrix that a layer is a third of, if it is."""
    found = _BLOCK.fullmatch(layer)
    for key, names in _FUSED.items():
        if found and layer.startswith("transformer.") and found[2] in names:
            block = found[1]
            parts = tuple(f"transformer.transformer_blocks.{block}.{name}" for name in names)
            return Projection(f"joint_blocks_{block}_{key}", parts)
    return None


def fused(key: str, layers: Collection[str]) -> Projection | None:
    """The matrix of a key, if it is one of three projections and the base has them."""
    found = re.fullmatch(r"joint_blocks_(\d+)_(\w+_qkv)", key)
    if not found or found[2] not in _FUSED:
        return None
    parts = tuple(f"transformer.transformer_blocks.{found[1]}.{name}" for name in _FUSED[found[2]])
    return Projection(key, parts) if set(parts) <= set(layers) else None


def joined(updates: Updates, into: Projection) -> Update:
    """The update of a matrix out of those of its thirds, of which some may be absent."""
    parts = {number: updates[name] for number, name in enumerate(into.layers) if name in updates}
    return stacked(parts, len(parts[min(parts)].up), len(into.layers))


def split(whole: Update, fused: Projection) -> Mapping[str, Update]:
    """The updates of the thirds of a matrix."""
    return {fused.layers[number]: part for number, part in unstacked(whole, len(fused.layers)).items()}


def swaps(layer: str, layers: Collection[str]) -> bool:
    """Whether shift and scale are exchanged: in the last block, whose text stream ends before its output."""
    found = _BLOCK.fullmatch(layer)
    if not found or found[2] != "norm1_context.linear":
        return False
    return f"transformer.transformer_blocks.{found[1]}.attn.to_add_out" not in layers


def swapped(part: Update) -> Update:
    first, second = part.up.chunk(2)
    return Update(part.down, torch.cat([second, first]), part.alpha)

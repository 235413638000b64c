"""One file with the keys of kohya-ss/sd-scripts, which ComfyUI and other programs read too.

    lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight, .lora_up.weight, .alpha
    lora_te_text_model_encoder_layers_0_self_attn_q_proj....           lora_te1_, lora_te2_, lora_te3_ of Stable Diffusion 3
    lora_unet_joint_blocks_0_x_block_attn_qkv....                      see `sd3_names`

A U-Net's layers go by diffusers' names with "_" in place of ".". The scale is alpha / rows of lora_down.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import torch

from difflab.core.base.errors import DifflabError
from difflab.models.adapters import sd3_names
from difflab.models.adapters.updates import ALPHA, Update, Updates, paired, put, update

if TYPE_CHECKING:
    from torch import Tensor

DOWN, UP = "lora_down.weight", "lora_up.weight"
UNET = "lora_unet_"
_TEXT = {"text_encoder_2": "lora_te2_", "text_encoder_3": "lora_te3_"}


def read(tensors: Mapping[str, "Tensor"], layers: Collection[str], source: str) -> Updates:
    """The updates of a file; its keys lost their dots, which the names of the base's `layers` give back.

    Raises:
        DifflabError: the file is incomplete, holds other tensors, or names a layer that the base lacks.
    """
    known = {name: layer for layer in layers if (name := key(layer, layers))}
    known |= {name.replace("lora_te_", "lora_te1_"): layer for name, layer in known.items()}
    updates: Updates = {}
    for name, parts in paired(tensors, DOWN, UP, source).items():
        whole = update(name, parts, source)
        if fused := sd3_names.fused(name.removeprefix(UNET), layers):
            put(updates, sd3_names.split(whole, fused), source)
        elif name in known:
            put(updates, {known[name]: _turned(known[name], whole, layers)}, source)
        else:
            raise DifflabError(f"{source}: '{name}' is no layer of the base: it was trained on another one, see --base")
    return updates


def write(updates: Updates, layers: Collection[str]) -> dict[str, "Tensor"]:
    """The tensors; the three projections of an SD3 attention, which are one matrix there, become one update.

    Raises:
        DifflabError: the format has no key for a layer.
    """
    whole = {}
    for layer, part in updates.items():
        if (into := sd3_names.projection(layer)) is not None:
            if (name := UNET + into.key) not in whole:
                whole[name] = sd3_names.joined(updates, into)
        elif name := key(layer, layers):
            whole[name] = _turned(layer, part, layers)
        else:
            raise DifflabError(f"kohya's format has no key for '{layer}': export to diffusers, peft or comfyui")
    tensors = {}
    for name, part in whole.items():
        tensors |= {f"{name}.{DOWN}": part.down, f"{name}.{UP}": part.up, f"{name}.{ALPHA}": torch.tensor(part.alpha)}
    return tensors


def key(layer: str, layers: Collection[str]) -> str | None:
    """The key of a layer of diffusers; None for one outside of SD3's blocks, or a third of a matrix there.

    A lone text encoder is `lora_te`; where there are several, and a transformer, it is the first, `lora_te1`.
    """
    component, _, module = layer.partition(".")
    if component == "transformer":
        name = sd3_names.original(module)
        return name and UNET + name
    if component == "unet":
        return UNET + module.replace(".", "_")
    several = any(name.startswith("text_encoder_2.") for name in layers)
    return _TEXT.get(component, "lora_te1_" if several else "lora_te_") + module.replace(".", "_")


def _turned(layer: str, part: Update, layers: Collection[str]) -> Update:
    """The update with shift and scale exchanged where SD3's layer has them the other way round; its own inverse."""
    return sd3_names.swapped(part) if sd3_names.swaps(layer, layers) else part

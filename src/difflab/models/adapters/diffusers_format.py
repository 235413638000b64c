"""`pytorch_lora_weights.safetensors`, which `load_lora_weights` of diffusers' pipelines reads.

    transformer.transformer_blocks.0.attn.to_q.lora_A.weight     [rank, in]
    transformer.transformer_blocks.0.attn.to_q.lora_B.weight     [out, rank]

Rank and alpha stand in the header as JSON of `peft.LoraConfig`, a component's name before each key; where there is none
diffusers takes alpha = rank, which is a scale of 1.
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from difflab.core.base.errors import DifflabError
from difflab.models.adapters.lora_config import alpha_of_layer, config, rank_of_layer, unsupported
from difflab.models.adapters.updates import COMPONENTS, OWN, Updates, canonical, paired, put, update

if TYPE_CHECKING:
    from torch import Tensor

FILE_NAME = "pytorch_lora_weights.safetensors"
METADATA_KEY = "lora_adapter_metadata"
DOWN, UP = "lora_A.weight", "lora_B.weight"


def read(tensors: Mapping[str, "Tensor"], header: Mapping[str, str], source: str) -> Updates:
    """The updates of a file; `.alpha` tensors, which ComfyUI wants, count before the header.

    Raises:
        DifflabError: the file is incomplete, holds other tensors, or contradicts itself.
    """
    facts = read_facts(header, source)
    updates: Updates = {}
    for layer, parts in paired(tensors, DOWN, UP, source).items():
        component, _, module = layer.partition(".")
        told = {key.removeprefix(f"{component}."): v for key, v in facts.items() if key.startswith(f"{component}.")}
        if what := unsupported(told):
            raise DifflabError(f"{source} holds {what}, and only plain LoRA adapters can be read")
        name, alpha = canonical(layer), partial(alpha_of_layer, told, module)
        put(updates, {name: update(name, parts, source, rank_of_layer(told, module), alpha)}, source)
    return updates


def read_facts(header: Mapping[str, str], source: str) -> dict[str, Any]:
    """The JSON in the header, the configuration of each component and what difflab adds; empty where there is none."""
    try:
        facts = json.loads(header.get(METADATA_KEY, "{}"))
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise DifflabError(f"{source} has a damaged header: its {METADATA_KEY} is not a JSON object")
    return facts


def write(updates: Updates, own: Mapping[str, Any]) -> tuple[dict[str, "Tensor"], dict[str, str]]:
    """Tensors and header; `own` are facts of difflab, as the fingerprint of the base, which diffusers passes over."""
    tensors = {}
    for layer, part in updates.items():
        tensors |= {f"{layer}.{DOWN}": part.down, f"{layer}.{UP}": part.up}
    facts = {f"{OWN}{name}": value for name, value in own.items()}
    for component in COMPONENTS:
        modules = {
            layer.removeprefix(f"{component}."): part
            for layer, part in updates.items()
            if layer.startswith(f"{component}.")
        }
        facts |= {f"{component}.{key}": value for key, value in (config(modules) if modules else {}).items()}
    return tensors, {METADATA_KEY: json.dumps(facts, sort_keys=True)}

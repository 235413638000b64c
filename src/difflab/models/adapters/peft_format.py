"""A folder for each adapted component of the pipeline, which `peft.PeftModel.from_pretrained` reads.

transformer/adapter_config.json           peft.LoraConfig
transformer/adapter_model.safetensors     base_model.model.transformer_blocks.0.attn.to_q.lora_A.weight, ...
"""

from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from difflab.models.adapters.lora_config import alpha_of_layer, config, rank_of_layer
from difflab.models.adapters.updates import TEXT_ENCODERS, Updates, canonical, paired, put, update

if TYPE_CHECKING:
    from torch import Tensor

CONFIG, FILE_NAME = "adapter_config.json", "adapter_model.safetensors"
DOWN, UP = "lora_A.weight", "lora_B.weight"
_PREFIX, _TEXT = "base_model.model.", "text_model."


def read(component: str, tensors: Mapping[str, "Tensor"], told: Mapping[str, Any], source: str) -> Updates:
    """The updates of one component.

    Args:
        told: the content of adapter_config.json.

    Raises:
        DifflabError: it is incomplete, or contradicts itself.
    """
    updates: Updates = {}
    for layer, parts in paired(tensors, DOWN, UP, source).items():
        module = layer.removeprefix(_PREFIX)
        name = canonical(f"{component}.{module}")
        alpha = partial(alpha_of_layer, told, module)
        put(updates, {name: update(name, parts, source, rank_of_layer(told, module), alpha)}, source)
    return updates


def component_of(tensors: Collection[str]) -> str:
    """The component of a pipeline whose layers an adapter by PEFT names, which says nothing else of it."""
    names = " ".join(tensors)
    if "joint_transformer" in names or f"{_PREFIX}transformer_blocks." in names:
        return "transformer"
    return "unet" if "_block" in names else "text_encoder"


def write(updates: Updates, layers: Collection[str]) -> dict[str, tuple[dict[str, "Tensor"], dict[str, Any]]]:
    """Tensors and adapter_config.json of each component.

    Args:
        layers: of the base. PEFT compares names to the letter, and transformers has no `text_model` in a CLIP encoder
            without projection any more (5.6).
    """
    made = {}
    for component in dict.fromkeys(layer.partition(".")[0] for layer in updates):
        modules = {n.partition(".")[2]: u for n, u in updates.items() if n.startswith(f"{component}.")}
        if component in TEXT_ENCODERS and f"{component}.text_projection" not in layers:
            modules = {name.removeprefix(_TEXT): part for name, part in modules.items()}
        tensors = {}
        for module, part in modules.items():
            tensors |= {f"{_PREFIX}{module}.{DOWN}": part.down, f"{_PREFIX}{module}.{UP}": part.up}
        made[component] = tensors, {"peft_type": "LORA", "bias": "none", "inference_mode": True, **config(modules)}
    return made

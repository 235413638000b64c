"""An adapter and its base: whether they belong together, the base with the adapter on it or in it."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from difflab.core.base.errors import DifflabError, suggestion
from difflab.models.adapters import diffusers_format
from difflab.models.adapters.header import packed
from difflab.models.adapters.updates import COMPONENTS, TEXT_ENCODERS, Updates

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

Layers = dict[str, tuple[int, ...]]
"""The shapes of the weights of all linear layers and convolutions of a pipeline, by names as in `updates`."""


def layers_of(pipeline: "DiffusionPipeline") -> Layers:
    return {name: tuple(layer.weight.shape) for name, layer in _modules(pipeline).items()}


def check_fit(updates: Updates, layers: Layers, source: str) -> None:
    """Refuse an adapter that the base has no place for, as a DifflabError that names the first such layer."""
    if not updates:
        raise DifflabError(f"{source} changes no layer: it holds no tensors, or zeros alone")
    for name, part in updates.items():
        remedy = f"{source} was trained on another base: name it with --base"
        if name not in layers:
            raise DifflabError(f"the base has no layer '{name}'{suggestion(name, layers)}: {remedy}")
        shape = (len(part.up), *part.down.shape[1:])
        if shape != layers[name]:
            raise DifflabError(
                f"'{name}' is {list(layers[name])} in the base and {list(shape)} in the adapter: {remedy}"
            )


def put_on(pipeline: "DiffusionPipeline", updates: Updates) -> None:
    """Put an adapter on its base by diffusers' own loader, in place of the present one."""
    from diffusers.utils import logging

    take_off(pipeline)
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # it warns of every text encoder that has no adapter
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / diffusers_format.FILE_NAME
        path.write_bytes(packed(*diffusers_format.write(updates, {})))
        pipeline.load_lora_weights(folder, weight_name=path.name)
    logging.set_verbosity(verbosity)


def take_off(pipeline: "DiffusionPipeline") -> None:
    """Leave the base alone, if an adapter is on it."""
    if pipeline.get_list_adapters():
        pipeline.unload_lora_weights()


@torch.no_grad()
def merge(pipeline: "DiffusionPipeline", updates: Updates) -> None:
    """Add an adapter to the weights of its base, in float32, rounded to the base's own precision at the end."""
    modules = _modules(pipeline)
    for name, part in updates.items():
        weight = modules[name].weight
        weight.copy_((weight.float() + part.delta().to(weight.device)).to(weight.dtype))


def _modules(pipeline: "DiffusionPipeline") -> Mapping[str, nn.Module]:
    found = {}
    for component in COMPONENTS:
        model = getattr(pipeline, component, None)
        if not isinstance(model, nn.Module):
            continue
        flat = component in TEXT_ENCODERS and hasattr(model, "encoder") and not hasattr(model, "text_model")
        clip = flat and hasattr(model, "embeddings")  # T5 has an encoder of another kind
        prefix = f"{component}.text_model." if clip else f"{component}."
        for name, layer in model.named_modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                found[prefix + name] = layer
    return found

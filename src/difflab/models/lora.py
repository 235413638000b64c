"""LoRA adapters (Hu et al. 2021) by PEFT, whatever the model."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from difflab.core.base.errors import DifflabError
from difflab.core.base.pretrained import pretrained_model

if TYPE_CHECKING:
    from diffusers.models import SD3Transformer2DModel
    from peft import LoraConfig
    from torch import Tensor

    from difflab.models.params import BasePrecision

ADAPTER = "default"


def add_lora(model: nn.Module, config: "LoraConfig") -> list[nn.Parameter]:
    """Freeze a model of diffusers or transformers and add an adapter in float32 that changes nothing yet.

    It is drawn from PyTorch's global generator. Returns its parameters, the only ones that are trained.
    """
    model.requires_grad_(False)
    model.add_adapter(config, adapter_name=ADAPTER)
    trained = [p for p in model.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.data = parameter.data.float()
    return trained


def check_rank(rank: int, width: int) -> None:
    """Refuse a rank above the width of the adapted layers: a full matrix has no more."""
    if rank > width:
        raise DifflabError(
            f"lora.rank is {rank}, above the width {width} of the adapted layers: a full matrix has that"
        )


def alpha_of(rank: int, alpha: float | None) -> float:
    """Alpha, or the rank where none is given: the scale alpha / rank of the update is then 1 at every rank."""
    return float(rank) if alpha is None else alpha


def linear_layers(module: nn.Module) -> list[str]:
    """The names of the linear layers in a module, which an adapter may be put on if none is on them already."""
    if any(".lora_" in name for name, _ in module.named_parameters()):
        raise DifflabError("the model has an adapter already: load it anew for another one")
    return [name for name, layer in module.named_modules() if isinstance(layer, nn.Linear)]


def check_weights(
    what: str, tensors: "Mapping[str, Tensor]", expected: "Mapping[str, Sequence[int]]", remedy: str
) -> None:
    """Refuse tensors read from the file `what` that are not exactly the expected ones, by name and shape, and finite."""
    faults = (
        [f"it lacks {name}" for name in sorted(expected.keys() - tensors.keys())]
        or [f"{name} belongs to no adapted layer" for name in sorted(tensors.keys() - expected.keys())]
        or [
            f"{name} is {list(tensor.shape)}, not {list(expected[name])}"
            for name, tensor in sorted(tensors.items())
            if list(tensor.shape) != list(expected[name])
        ]
        or [f"{name} holds NaN or infinity" for name, t in sorted(tensors.items()) if not t.float().isfinite().all()]
    )
    if faults:
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise DifflabError(f"{what} does not fit: {faults[0]}{more}: {remedy}")


def check_target(
    target: str, names: Iterable[str], known: Collection[str], key: str, presets: Collection[str] = ()
) -> None:
    """Refuse the target of the parameter `key` where none of the layers that it stands for is a known linear layer.

    Args:
        names: the target itself, or the content of a preset.
        presets: what else may have been meant.
    """
    if not set(names) & set(known):
        meant = [name for name in (*presets, *sorted(known)) if name != target]
        near = difflib.get_close_matches(target, meant, n=4, cutoff=0.3) or sorted(known)[:4]
        raise DifflabError(f"{key}: '{target}' matches no linear layer; the nearest are {', '.join(near)}")


def load_quantised(
    folder: Path, precision: "BasePrecision", device: torch.device, dtype: torch.dtype
) -> "SD3Transformer2DModel":
    """A base whose linear layers hold 8 or 4 bits a weight (NF4: Dettmers et al. 2023, "QLoRA"), computing in `dtype`.

    By bitsandbytes, as the model is read; adapters on it stay in float32.

    Raises:
        DifflabError: the package or the GPU is absent.
    """
    from diffusers import BitsAndBytesConfig
    from diffusers.models import SD3Transformer2DModel

    wanted = f"finetune.base is {precision}"
    if find_spec("bitsandbytes") is None:
        raise DifflabError(
            f"{wanted} and bitsandbytes is not installed: pip install bitsandbytes, or finetune.base=full"
        )
    if device.type != "cuda":
        raise DifflabError(
            f"{wanted}, which wants an NVIDIA GPU, and runtime.device is {device}: take finetune.base=full"
        )
    bits = {"load_in_8bit": True} if precision == "8bit" else {
        "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype
    }  # fmt: skip
    return pretrained_model(
        SD3Transformer2DModel, folder / "transformer", quantization_config=BitsAndBytesConfig(**bits), torch_dtype=dtype,
        device_map={"": device}, use_safetensors=True,
    ).eval()  # fmt: skip

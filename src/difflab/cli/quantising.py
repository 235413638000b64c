"""The denoiser of a written pipeline with 8 or 4 bits a weight, in files that diffusers loads as any other."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from difflab.core.base.errors import DifflabError
from difflab.core.base.pretrained import pretrained

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline
    from torch import nn

Bits = Literal[8, 4]


def check_quantising(bits: Bits) -> None:
    """Refuse, as a DifflabError, what the installed packages cannot do: torchao has 8 bits, bitsandbytes 4."""
    package = "torchao" if bits == 8 else "bitsandbytes"
    if find_spec(package) is None:
        raise DifflabError(f"--bits {bits} wants {package}, which is not installed: pip install 'difflab[quantised]'")


def quantise(pipeline: "DiffusionPipeline", folder: Path, bits: Bits) -> None:
    """Write the denoiser in `folder` anew, its linear layers with fewer bits.

    8 bits: int8 with one scale for each row (torchao's int8 weight only). 4 bits: see `to_four_bits`.
    """
    name = "transformer" if hasattr(pipeline, "transformer") else "unet"
    model, path = getattr(pipeline, name), folder / name
    if bits == 8:
        from diffusers import TorchAoConfig
        from torchao.quantization import Int8WeightOnlyConfig

        config = TorchAoConfig(Int8WeightOnlyConfig())
        small = pretrained(type(model), path, quantization_config=config, dtype=model.dtype)
    else:
        small = to_four_bits(model)
    for file in path.glob("*.safetensors*"):
        file.unlink()
    small.save_pretrained(path)


def to_four_bits(model: "nn.Module") -> "nn.Module":
    """The model with its linear layers rounded to NF4 in blocks of 64 (Dettmers et al. 2023), in place, on its device.

    The layers are bitsandbytes' own, which compute on a CPU too; diffusers reads them back on a GPU alone.
    """
    import bitsandbytes as bnb
    import torch
    from diffusers import BitsAndBytesConfig

    kind, dtype = "nf4", torch.bfloat16
    for name, layer in list(model.named_modules()):
        if type(layer) is torch.nn.Linear:
            small = bnb.nn.Linear4bit(
                layer.in_features, layer.out_features, layer.bias is not None, dtype, False, kind, device="meta"
            )
            small.weight = bnb.nn.Params4bit(
                layer.weight.data, False, quant_type=kind, compress_statistics=False, module=small
            )
            small.bias = layer.bias
            model.set_submodule(name, small.to(layer.weight.device))
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_compute_dtype=dtype)
    model.register_to_config(quantization_config=config.to_dict())
    return model

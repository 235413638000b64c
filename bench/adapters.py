"""Pictures by an adapter in every form that `difflab export` and `merge` give it, beside those of PEFT on the base.

    python bench/adapters.py [ADAPTER] [--base BASE] [--images 16]

In float32 on a CPU, by the base's own scheduler from the same noise. The first rows are to agree to 1e-5. Then fewer
bits: int8 by torchao as `difflab merge --bits 8` stores it (pip install torchao), and NF4 by bitsandbytes (pip install
bitsandbytes) rounded and computed in float32, its size reckoned from the packed weights and scales.
"""

import argparse
import copy
import math
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn

from difflab.cli.adapters import OnBase, describe, open_adapters
from difflab.core.params import load_params
from difflab.models.adapters import fit
from difflab.models.adapters.reading import read_adapter
from difflab.models.adapters.writing import FORMATS, write_adapter

PROMPTS = ("a handwritten three over a photo of coffee", "a handwritten eight over a photo of a cat")


def pictures(adapter: OnBase, pipeline, count: int) -> np.ndarray:
    """float32 [count, H, W, 3] in 0 to 1."""
    base = adapter.base
    length = {"max_sequence_length": base.text_length} if base.text_length else {}
    prompts = [PROMPTS[number % len(PROMPTS)] for number in range(count)]
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        prompts, num_inference_steps=base.defaults.num_inference_steps, guidance_scale=base.defaults.guidance_scale,
        generator=[torch.Generator().manual_seed(number) for number in range(count)], output_type="np", **length,
    ).images  # fmt: skip


def row(name: str, made: np.ndarray, expected: np.ndarray, size: float | None) -> str:
    difference = made.astype(np.float64) - expected
    mse = float(np.square(difference).mean())
    psnr = f"{-10 * math.log10(mse):.1f}" if mse else "inf"
    return f"| {name} | {abs(difference).max():.1e} | {psnr} | {f'{size:.3f}' if size else ''} |"


def linear(model: nn.Module) -> list[nn.Linear]:
    return [layer for layer in model.modules() if isinstance(layer, nn.Linear)]


def eight_bits(model: nn.Module) -> float:
    """Make it int8 in place; its bytes over those before."""
    from diffusers import TorchAoConfig
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    assert TorchAoConfig(Int8WeightOnlyConfig())  # the configuration that diffusers writes
    whole = sum(p.numel() * p.element_size() for p in model.parameters())
    saved = sum(layer.weight.numel() * 3 - 4 * layer.out_features for layer in linear(model))
    quantize_(model, Int8WeightOnlyConfig())
    return (whole - saved) / whole


def four_bits(model: nn.Module) -> float:
    """Round to NF4 in blocks of 64 in place; its bytes, packed, over those before."""
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    whole, saved = sum(p.numel() * p.element_size() for p in model.parameters()), 0
    for layer in linear(model):
        weight = layer.weight.data
        packed, state = quantize_4bit(weight, quant_type="nf4", blocksize=64)
        layer.weight.data = dequantize_4bit(packed, state).to(weight.dtype)
        saved += weight.numel() * weight.element_size() - packed.numel() - state.absmax.numel() * 4
    return (whole - saved) / whole


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", nargs="?", type=Path, default=Path("models/finetune/blip2-zero"))
    parser.add_argument("--base")
    parser.add_argument("--images", type=int, default=16)
    args = parser.parse_args()
    params = load_params()
    (adapter,) = open_adapters([args.adapter], args.base, params, dtype=torch.float32)
    pipeline, updates = adapter.pipeline, adapter.updates
    base = pictures(adapter, pipeline, args.images)
    fit.put_on(pipeline, updates)
    expected = pictures(adapter, pipeline, args.images)
    rows = [row("the base, without the adapter", base, expected, None)]
    with tempfile.TemporaryDirectory() as folder:
        for format in FORMATS:
            out = Path(folder) / format
            write_adapter(out, format, updates, adapter.layers, describe(adapter, params), adapter.file.facts)
            fit.put_on(pipeline, read_adapter(out).updates(adapter.layers))
            rows.append(
                row(f"exported to {format}, read back", pictures(adapter, pipeline, args.images), expected, None)
            )
    fit.take_off(pipeline)
    fit.merge(pipeline, updates)
    rows.append(row("merged, float32", pictures(adapter, pipeline, args.images), expected, 1.0))
    denoiser = adapter.file.denoiser
    whole = getattr(pipeline, denoiser)
    for name, package, change in (("int8", "torchao", eight_bits), ("NF4", "bitsandbytes", four_bits)):
        if find_spec(package) is None:
            print(f"{name} is left out: pip install {package}")
            continue
        small = copy.deepcopy(whole)
        size = change(small)
        setattr(pipeline, denoiser, small)
        rows.append(row(f"merged, {name}", pictures(adapter, pipeline, args.images), expected, size))
    print("\n".join(["| pictures by | largest difference | PSNR, dB | denoiser's size |", "|---|---|---|---|", *rows]))


if __name__ == "__main__":
    main()

"""Pictures by an adapter in every form that `difflab export` and `merge` give it, beside those of PEFT on the base.

    python bench/adapters.py [ADAPTER] [--base BASE] [--images 16]

In float32 on a CPU, by the base's own scheduler from the same noise. The first rows are to agree to 1e-5. Then, where their
packages are installed (`pip install 'difflab[quantised,onnx]'`), the merged model with 8 and 4 bits a weight, as `difflab
merge --bits` writes it, and as ONNX graphs. Sizes are those of the denoiser's files.
"""

import argparse
import copy
import math
import shutil
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from difflab.cli.adapters import OnBase, open_adapters
from difflab.cli.described import describe
from difflab.cli.onnx_export import write_onnx
from difflab.cli.onnx_reading import by_graphs
from difflab.cli.quantising import quantise
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


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.suffix in (".safetensors", ".onnx", ".data"))


def smaller(adapter: OnBase, count: int, expected: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray, float]]:
    """The rows of the merged pipeline, as files that take less room or that other programs run."""
    pipeline, name = adapter.pipeline, adapter.file.denoiser
    whole = getattr(pipeline, name)
    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "full"
        pipeline.save_pretrained(full)
        size = size_of(full / name)
        for bits, package, kind in ((8, "torchao", "int8"), (4, "bitsandbytes", "NF4")):
            if find_spec(package) is None:
                print(f"{kind} is left out: pip install {package}")
                continue
            small = Path(folder) / str(bits)
            shutil.copytree(full, small)
            pipeline.register_modules(**{name: copy.deepcopy(whole)})
            quantise(pipeline, small, bits)
            if bits == 8:  # 4 bits: the layers that were written, which diffusers loads on a GPU alone
                pipeline.register_modules(**{name: type(whole).from_pretrained(small / name, dtype=torch.float32)})
            yield f"merged, {kind}", pictures(adapter, pipeline, count), expected, size_of(small / name) / size
        pipeline.register_modules(**{name: whole})
        if find_spec("onnx") is None or find_spec("onnxruntime") is None:
            print("ONNX is left out: pip install onnx onnxruntime")
            return
        write_onnx(pipeline, Path(folder) / "onnx", "")
        by_graphs(pipeline, Path(folder) / "onnx")
        made = pictures(adapter, pipeline, count)
        yield "merged, ONNX by onnxruntime", made, expected, size_of(Path(folder) / "onnx" / name) / size


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
    rows += [row(*found) for found in smaller(adapter, args.images, expected)]
    print("\n".join(["| pictures by | largest difference | PSNR, dB | denoiser's size |", "|---|---|---|---|", *rows]))


if __name__ == "__main__":
    main()

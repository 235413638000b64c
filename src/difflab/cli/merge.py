"""`difflab merge`: a whole pipeline of diffusers with an adapter in its weights, in full or with fewer bits."""

import gc
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from difflab.cli.adapters import name_of, open_adapters
from difflab.cli.bases import OUTPUTS, STUDY, find_base
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path
from difflab.core.base.pretrained import pretrained
from difflab.models.adapters.fit import merge as add_to_weights
from difflab.models.adapters.reading import located
from difflab.models.adapters.writing import CARD

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from difflab.study import Params

Bits = Literal[8, 4]


def merge(path: Path | None, out: Path | None, base: str | None, bits: Bits | None, params: "Params") -> str:
    """Write the folder of a pipeline and return the line to print; without an adapter that of the base alone.

    Raises:
        DifflabError: it is no adapter, does not fit its base, or the target cannot be written.
    """
    import torch

    name = (base or STUDY).replace("/", "-") if path is None else name_of(located(path))
    suffix = ("" if path is None else "-merged") + (f"-{bits}bit" if bits else "")
    out = out or OUTPUTS / f"{name}{suffix}"
    if out.exists() or out.is_symlink():
        raise DifflabError(f"{out} exists already: name another with --out, or delete it first")
    if bits:
        check_quantising(bits, torch.cuda.is_available())
    if path is None:
        found = find_base(base, "transformer", params)
        pipeline, layers = found.load(), 0
    else:
        (adapter,) = open_adapters([path], base, params)
        found, pipeline, layers = adapter.base, adapter.pipeline, len(adapter.updates)
        add_to_weights(pipeline, adapter.updates)
    with atomic_path(out) as temporary:
        save(pipeline, temporary)
        if bits:
            quantise(pipeline, temporary, bits)
        (temporary / CARD).write_text(_card(found.name, found.licence, path, bits))
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    added = f"{path} in {layers} layers of {found.name}" if path else found.name
    return f"wrote {out}, {added}{f', {bits} bits a weight' if bits else ''}, {size / 1e6:.1f} MB"


def save(pipeline: "DiffusionPipeline", folder: Path) -> None:
    """`save_pretrained`, whose writer hides that a disk is full in an error of its own."""
    from safetensors import SafetensorError

    try:
        pipeline.save_pretrained(folder)
    except SafetensorError as error:
        if "os error 28" not in str(error):
            raise
        raise DifflabError(f"the disk is full while writing {folder.name}: free some space, then run again") from None


def check_quantising(bits: Bits, gpu: bool) -> None:
    """Refuse, as a DifflabError, what the packages and the machine cannot do: torchao has 8 bits, bitsandbytes 4."""
    package = "torchao" if bits == 8 else "bitsandbytes"
    if find_spec(package) is None:
        raise DifflabError(f"--bits {bits} wants {package}, which is not installed: pip install 'difflab[quantised]'")
    if bits == 4 and not gpu:
        raise DifflabError(
            "--bits 4 wants an NVIDIA GPU, as diffusers loads bitsandbytes on nothing else: take --bits 8"
        )


def quantise(pipeline: "DiffusionPipeline", folder: Path, bits: Bits) -> None:
    """Write the denoiser in `folder` anew, its linear layers with fewer bits; diffusers loads it as any other.

    8 bits: one scale for each row (torchao's int8 weight only). 4 bits: NF4 in blocks of 64 (Dettmers et al. 2023).
    """
    import torch

    name = "transformer" if hasattr(pipeline, "transformer") else "unet"
    model, path = getattr(pipeline, name), folder / name
    kind, dtype = type(model), model.dtype
    if bits == 8:
        from diffusers import TorchAoConfig
        from torchao.quantization import Int8WeightOnlyConfig

        small = pretrained(kind, path, quantization_config=TorchAoConfig(Int8WeightOnlyConfig()), torch_dtype=dtype)
    else:
        from diffusers import BitsAndBytesConfig

        nf4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
        small = pretrained(kind, path, quantization_config=nf4, torch_dtype=dtype, device_map={"": "cuda"})
    for file in path.glob("*.safetensors*"):
        file.unlink()
    small.save_pretrained(path)
    del small
    gc.collect()


def _card(base: str, licence: str, path: Path | None, bits: Bits | None) -> str:
    added = f" with the adapter `{path}` in its weights" if path else ""
    small = f"; the denoiser has {bits} bits a weight" if bits else ""
    return f"# {base}\n\n{base}{added}{small}, written by difflab. The base is under {licence}.\n"

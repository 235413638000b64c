"""`difflab generate` by adapters: one picture, or several adapters beside their base from the same noise."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from difflab.cli.adapters import adapted, is_adapter, open_adapters, unnamed
from difflab.cli.sampling import PROMPT_ID, Request, generate, require_picture
from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import png_bytes, write_bytes
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.images.sheet import contact_sheet
from difflab.models.pipelines.prompted import PromptedSampler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from difflab.models.pipelines.prompted import Options
    from difflab.study import Params

BASE = "base"


def generate_by(models: "Sequence[str]", base: str | None, request: Request, out: Path, params: "Params") -> list[str]:
    """Write the picture of one model or adapter, or a sheet of several adapters; return the lines to print.

    Raises:
        DifflabError: a name is unknown, the models share no base, or one cannot take the options.
    """
    adapters = [name for name in models if is_adapter(name, params)]
    if not adapters:
        if base is not None:
            raise DifflabError(f"--base is the base of an adapter, and {models[0]} is a whole model")
        if len(models) > 1:
            raise DifflabError("published models have noise of their own: `difflab sweep` takes several, or name one")
        return generate(replace(request, model=models[0]), out, params.sweep.known, params.runtime)
    if whole := [name for name in models if name not in adapters]:
        raise DifflabError(f"{whole[0]} is a whole model: the base of an adapter is named with --base, and shown first")
    return _by_adapters([Path(name) for name in adapters], base, request, out, params)


def _by_adapters(paths: list[Path], base: str | None, request: Request, out: Path, params: "Params") -> list[str]:
    require_picture(request.prompt, out)
    runtime.configure(params.runtime.num_threads)
    device, dtype = resolve_device(params.runtime.device), resolve_dtype(params.runtime.dtype)
    opened = open_adapters(paths, base, params, device, dtype)
    found, pipeline = opened[0].base, opened[0].pipeline
    options = _options(request, found.defaults)
    sampler = PromptedSampler(
        pipeline, distilled=False, seed=request.seed, batch_size=1, text_length=found.text_length
    )  # fmt: skip
    if reason := sampler.refusal(options):
        raise DifflabError(f"{found.name} cannot take {reason}")
    lost = sampler.truncation(request.prompt)
    pictures: dict[str, np.ndarray] = {}

    def make(name: str) -> None:
        (batch,) = sampler.images([PROMPT_ID], [request.prompt], options, not runtime.quiet())
        pictures[name] = batch[0]

    if len(opened) > 1:
        make(BASE)
    for adapter in opened:
        with adapted(pipeline, adapter):
            make(adapter.name)
    steps, guidance = options.num_inference_steps, options.guidance_scale
    made = f"{options.scheduler}, {steps} steps, guidance {guidance:g}, seed {request.seed}"
    warned = [f"WARNING: the prompt has {lost}"] * bool(lost) + unnamed(opened, request.prompt)
    return [*warned, f"{_write(out, pictures)} ({made})"]


def _write(out: Path, pictures: dict[str, np.ndarray]) -> str:
    if len(pictures) == 1:
        ((name, picture),) = pictures.items()
        write_bytes(out, png_bytes(Image.fromarray(picture)))
        height, width, _ = picture.shape
        return f"wrote {out}, {width} x {height} pixels by {name}"
    side = max(128, *(max(picture.shape[:2]) for picture in pictures.values()))
    write_bytes(out, png_bytes(contact_sheet(list(pictures.values()), list(pictures), len(pictures), side)))
    return f"wrote {out}, {', '.join(pictures)} from the same noise"


def _options(request: Request, usual: "Options") -> "Options":
    given = {
        "scheduler": request.scheduler,
        "num_inference_steps": request.num_inference_steps,
        "guidance_scale": request.guidance_scale,
    }
    options = replace(
        usual, negative_prompt=request.negative_prompt, **{k: v for k, v in given.items() if v is not None}
    )
    if not math.isfinite(options.guidance_scale):
        raise DifflabError(f"{options.guidance_scale:g} is not a valid guidance scale: take 1 to 15")
    return options

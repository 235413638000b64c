"""`difflab generate` by adapters: one picture, or several adapters beside their base from the same noise."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from difflab.cli.adapters import adapted, is_adapter, open_adapters, unnamed
from difflab.cli.bases import STUDY, check_text, find_base
from difflab.cli.sampling import MOST_GUIDANCE, PROMPT_ID, Request, generate, require_picture
from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import png_bytes, write_bytes
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.images.sheet import contact_sheet
from difflab.models.known.pipelines import known_pipelines
from difflab.models.pipelines.prompted import PromptedSampler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffusers import DiffusionPipeline

    from difflab.cli.adapters import OnBase
    from difflab.cli.bases import Base
    from difflab.models.pipelines.prompted import Options
    from difflab.study import Params

BASE, TENSORS = "base", ".safetensors"


def generate_by(models: "Sequence[str]", base: str | None, request: Request, out: Path, params: "Params") -> list[str]:
    """Write the picture of one model or adapter, or a sheet of several adapters; return the lines to print.

    Among adapters, "sd3" is the study's base alone.

    Raises:
        DifflabError: a name is unknown, the models share no base, or one cannot take the options.
    """
    adapters = [name for name in models if name == STUDY or is_adapter(name, params)]
    if not adapters:
        if base is not None:
            raise DifflabError(f"--base is the base of an adapter, and {models[0]} is a whole model")
        if len(models) > 1:
            raise DifflabError("published models have noise of their own: `difflab sweep` takes several, or name one")
        return generate(replace(request, model=models[0]), out, known_pipelines(), params.runtime)
    if whole := [name for name in models if name not in adapters]:
        raise DifflabError(f"{whole[0]} is a whole model: the base of an adapter is named with --base, and shown first")
    if STUDY in adapters and base not in (None, STUDY):
        raise DifflabError(f"{STUDY} is a base of its own: leave it out, the base {base} is shown before its adapters")
    return _by_adapters(adapters, base, request, out, params)


def _by_adapters(names: list[str], base: str | None, request: Request, out: Path, params: "Params") -> list[str]:
    require_picture(request.prompt, out, (".png", TENSORS))
    runtime.configure(params.runtime.num_threads)
    device, dtype = resolve_device(params.runtime.device), resolve_dtype(params.runtime.dtype)
    paths = [Path(name) for name in names if name != STUDY]
    if paths:
        opened = open_adapters(paths, STUDY if STUDY in names else base, params, device, dtype)
        found, pipeline = opened[0].base, opened[0].pipeline
    else:
        opened, found = [], find_base(STUDY, "transformer", params)
        pipeline = found.load(device, dtype)
    with_base = STUDY in names or len(opened) > 1
    options = options_of(request, found.defaults)
    made = make(found, pipeline, ([None] if with_base else []) + opened, request, options, not runtime.quiet())
    steps, guidance = options.num_inference_steps, options.guidance_scale
    how = f"{options.scheduler}, {steps} steps, guidance {guidance:g}, seed {request.seed}"
    warnings = [f"WARNING: the prompt has {made.truncation}"] * bool(made.truncation) + unnamed(opened, request.prompt)
    write_bytes(out, tensor_bytes(made.pictures) if out.suffix.lower() == TENSORS else sheet_png(made.pictures))
    return [*warnings, f"wrote {out}, {_said(made.pictures)} ({how})"]


@dataclass(frozen=True)
class Pictures:
    """The pictures uint8 [H, W, 3] by the names of their models, and what of the prompt none of them reads."""

    pictures: dict[str, np.ndarray]
    truncation: str


def make(
    base: "Base",
    pipeline: "DiffusionPipeline",
    models: "Sequence[OnBase | None]",
    request: Request,
    options: "Options",
    progress: bool = False,
) -> Pictures:
    """The picture of a prompt by each model from the same noise; None is the base alone. The pipeline is left as it came.

    Raises:
        DifflabError: two models have one name, the options cannot be, or prompts would be longer than in training.
    """
    check_text(base, pipeline)
    sampler = PromptedSampler(
        pipeline, distilled=False, seed=request.seed, batch_size=1, text_length=base.text_length
    )  # fmt: skip
    if reason := sampler.refusal(options):
        raise DifflabError(f"{base.name} cannot take {reason}")
    named = [(BASE if model is None else model.name, model) for model in models]
    if twice := [name for n, (name, _) in enumerate(named) if name in dict(named[:n])]:
        raise DifflabError(f"two models are called {twice[0]}: name each once")
    pictures: dict[str, np.ndarray] = {}
    for name, model in named:
        with adapted(pipeline, model):
            (batch,) = sampler.images([PROMPT_ID], [request.prompt], options, progress)
        pictures[name] = batch[0]
    return Pictures(pictures, sampler.truncation(request.prompt))


def sheet_png(pictures: dict[str, np.ndarray]) -> bytes:
    """One picture as it is, or several side by side with their names."""
    if len(pictures) == 1:
        return png_bytes(Image.fromarray(next(iter(pictures.values()))))
    side = max(128, *(max(picture.shape[:2]) for picture in pictures.values()))
    return png_bytes(contact_sheet(list(pictures.values()), list(pictures), len(pictures), side))


def tensor_bytes(pictures: dict[str, np.ndarray]) -> bytes:
    """A safetensors file of the pictures by the names of their models."""
    from safetensors.numpy import save

    return save({name: np.ascontiguousarray(picture) for name, picture in pictures.items()})


def _said(pictures: dict[str, np.ndarray]) -> str:
    if len(pictures) > 1:
        return f"{', '.join(pictures)} from the same noise"
    ((name, picture),) = pictures.items()
    height, width, _ = picture.shape
    return f"{width} x {height} pixels by {name}"


def options_of(request: Request, usual: "Options") -> "Options":
    given = {
        "scheduler": request.scheduler,
        "num_inference_steps": request.num_inference_steps,
        "guidance_scale": request.guidance_scale,
    }
    """How to sample: what is asked for, and the rest as usual."""
    options = replace(
        usual, negative_prompt=request.negative_prompt, **{k: v for k, v in given.items() if v is not None}
    )
    if not (math.isfinite(options.guidance_scale) and options.guidance_scale <= MOST_GUIDANCE):
        raise DifflabError(
            f"{options.guidance_scale:g} is not a valid guidance scale: take 1 (none) to {MOST_GUIDANCE}"
        )
    return options

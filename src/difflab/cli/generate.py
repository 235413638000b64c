"""`difflab generate`: one picture for a prompt."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from difflab.cli.out import require_file
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import png_bytes, write_bytes
from difflab.models.pipelines.known import find, load_prompted
from difflab.models.pipelines.prompted import Options, PromptedSampler

if TYPE_CHECKING:
    from difflab.core.params.common import RuntimeParams
    from difflab.models.params import PipelineParams

FORMATS = (".png",)


@dataclass(frozen=True)
class Request:
    """A picture to generate; None takes the model's default."""

    prompt: str
    model: str
    negative_prompt: str = ""
    guidance_scale: float | None = None
    num_inference_steps: int | None = None
    scheduler: str | None = None
    seed: int = 0


def prompt_ids(count: int) -> list[str]:
    """Ids for prompts given on the command line; id and seed decide the noise."""
    return [f"prompt-{number:05d}" for number in range(count)]


def options_of(request: Request, model: "PipelineParams") -> Options:
    """The options of a request, completed by the model's defaults."""
    return Options(
        request.scheduler or model.scheduler,
        model.num_inference_steps if request.num_inference_steps is None else request.num_inference_steps,
        model.guidance_scale if request.guidance_scale is None else request.guidance_scale,
        request.negative_prompt,
    )


def generate(
    request: Request, out: Path, known: "dict[str, PipelineParams]", runtime: "RuntimeParams", progress: bool
) -> list[str]:
    """Write one picture; return the lines to print: truncation warnings, then what was written.

    Raises:
        DifflabError: an empty prompt, an output path or format that cannot be written, an unknown or missing
            model, or options that it cannot take.
    """
    if not request.prompt.strip():
        raise DifflabError("the prompt is empty: describe the picture")
    if out.suffix.lower() not in FORMATS:
        raise DifflabError(f"--out {out} must end with .png")
    require_file(out)
    name = find(known, request.model)
    options = options_of(request, known[name])
    if not math.isfinite(options.guidance_scale):
        raise DifflabError(f"{options.guidance_scale:g} is not a valid guidance scale: take 1 to 15")
    if reason := options.refusal(known[name].distilled):  # before anything is downloaded
        raise DifflabError(f"{name} cannot take {reason}")
    sampler = load_prompted(known[name], runtime, seed=request.seed, batch_size=1)
    if reason := sampler.refusal(options):
        raise DifflabError(f"{name} cannot take {reason}")
    lines = truncation_warnings(sampler, [("prompt", request.prompt), ("negative prompt", request.negative_prompt)])
    (images,) = sampler.images(prompt_ids(1), [request.prompt], options, progress)
    write_bytes(out, png_bytes(Image.fromarray(images[0])))
    made = f"{options.scheduler}, {options.num_inference_steps} steps, guidance {options.guidance_scale:g}"
    height, width, _ = images[0].shape
    return [*lines, f"wrote {out}, {width} x {height} pixels by {name} ({made}, seed {request.seed})"]


def truncation_warnings(sampler: PromptedSampler, texts: Iterable[tuple[str, str]]) -> list[str]:
    """A line for each (name, text) whose end the model does not read."""
    return [f"WARNING: the {what} has {cut}" for what, text in texts if (cut := sampler.truncation(text))]

"""`difflab generate`: one picture for a prompt. `difflab sweep`: many options with the same noise, a table and a grid."""

import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from PIL import Image
from pydantic import ValidationError

from difflab.captioning import sweep_cells
from difflab.captioning.params import AxesParams
from difflab.captioning.picture_titles import first_variations, read_variations
from difflab.captioning.sweep_cells import SweepJudge
from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import png_bytes, write_bytes, write_csv
from difflab.core.params.loading import describe
from difflab.images.sheet import rows_sheet
from difflab.models.known.pipelines import known_pipelines
from difflab.models.pipelines.prompted import Options, PromptedSampler, find, load_prompted
from difflab.report import tables

if TYPE_CHECKING:
    from difflab.captioning.params import SweepParams
    from difflab.core.params.common import RuntimeParams
    from difflab.models.params import PipelineParams

TITLES, JUDGE = Path("data/titles/variations.parquet"), Path("models/zoo/vision_encoder")
TABLE, GRID = "sweep.csv", "sweep.png"
MOST_GUIDANCE = 100  # as of the parameters
PROMPT_ID = "prompt-00000"  # of a lone prompt; with the seed it decides the noise
_SHARES = ("digit_accuracy", "photo_accuracy", "both_accuracy")


@dataclass(frozen=True)
class Request:
    """A picture to generate; None takes the model's default."""

    prompt: str
    model: str = "zoo"
    negative_prompt: str = ""
    guidance_scale: float | None = None
    num_inference_steps: int | None = None
    scheduler: str | None = None
    seed: int = 0


def generate(request: Request, out: Path, known: "dict[str, PipelineParams]", machine: "RuntimeParams") -> list[str]:
    """Write one picture; return the lines to print: truncation warnings, then what was written.

    Raises:
        DifflabError: an empty prompt, a path that cannot be written, an unknown model, or options it cannot take.
    """
    require_picture(request.prompt, out)
    name = find(known, request.model)
    model = known[name]
    options = Options(
        model.scheduler if request.scheduler is None else request.scheduler,
        model.num_inference_steps if request.num_inference_steps is None else request.num_inference_steps,
        model.guidance_scale if request.guidance_scale is None else request.guidance_scale,
        request.negative_prompt,
    )
    if not (math.isfinite(options.guidance_scale) and options.guidance_scale <= MOST_GUIDANCE):
        raise DifflabError(
            f"{options.guidance_scale:g} is not a valid guidance scale: take 1 (none) to {MOST_GUIDANCE}"
        )
    if reason := options.refusal(model.distilled):  # before anything is downloaded
        raise DifflabError(f"{name} cannot take {reason}")
    runtime.configure(machine.num_threads)
    sampler = load_prompted(model, machine, seed=request.seed, batch_size=1)
    if reason := sampler.refusal(options):
        raise DifflabError(f"{name} cannot take {reason}")
    warnings = _truncations(sampler, [request.prompt], request.negative_prompt)
    (images,) = sampler.images([PROMPT_ID], [request.prompt], options, not runtime.quiet())
    write_bytes(out, png_bytes(Image.fromarray(images[0])))
    made = f"{options.scheduler}, {options.num_inference_steps} steps, guidance {options.guidance_scale:g}"
    height, width, _ = images[0].shape
    return [*warnings, f"wrote {out}, {width} x {height} pixels by {name} ({made}, seed {request.seed})"]


def require_picture(prompt: str, out: Path, kinds: Sequence[str] = (".png",)) -> None:
    """Refuse, as a DifflabError, an empty prompt and a path that a picture of one of the kinds cannot be written to."""
    check_prompt(prompt)
    if out.suffix.lower() not in kinds:
        raise DifflabError(f"--out {out} must end with {' or '.join(kinds)}")
    _require_file(out)


def check_prompt(prompt: str) -> None:
    """Refuse an empty prompt as a DifflabError."""
    _by_id([prompt])


def chosen(
    settings: "SweepParams", presets: Sequence[str], axes: Mapping[str, Sequence], negative_prompt: str = ""
) -> "SweepParams":
    """The settings with the named presets, their axes replaced by the given ones.

    Without a preset: the given axes, completed by each model's defaults; without either: every preset.

    Args:
        axes: values by the names of `AxesParams`; an empty axis is left to the presets, or to the models.

    Raises:
        DifflabError: an unknown preset, model or scheduler, or a number out of range.
    """
    if unknown := [name for name in presets if name not in settings.presets]:
        raise DifflabError(f"unknown preset '{unknown[0]}': one of {', '.join(settings.presets)}")
    given: dict[str, Any] = {name: list(values) for name, values in axes.items() if values}
    if "models" in given:
        given["models"] = [find(known_pipelines(), name) for name in given["models"]]
    if negative_prompt:
        given["negative"] = [False, True]
    if presets or not given:
        bases = {name: settings.presets[name].model_dump() for name in presets or settings.presets}
    else:
        bases = {name: _defaults(settings, name) for name in given.pop("models", ["zoo"])}
    try:
        replaced = {name: AxesParams(**{**base, **given}) for name, base in bases.items()}
    except ValidationError as error:
        raise DifflabError(describe(error)) from None
    return settings.model_copy(update={"presets": replaced, "negative": negative_prompt or settings.negative})


def _defaults(settings: "SweepParams", name: str) -> dict[str, list]:
    """The axes of the single cell of a model's defaults."""
    model = known_pipelines()[name]
    return {
        "models": [name],
        "schedulers": [model.scheduler],
        "num_inference_steps": [model.num_inference_steps],
        "guidance_scales": [model.guidance_scale],
        "negative": [False],
    }


def asked(prompts: Sequence[str], count: int) -> dict[str, str]:
    """Prompts by id: the given ones, or the first variations of titles.

    Raises:
        DifflabError: a prompt is empty, or there are neither prompts nor variations.
    """
    if prompts:
        return _by_id(prompts)
    if not TITLES.exists():
        raise DifflabError(f"{TITLES} is missing: give prompts with --prompt, or run `dvc repro vary_titles`")
    return first_variations(read_variations(TITLES), count)


def sweep(settings: "SweepParams", prompts: dict[str, str], machine: "RuntimeParams", seed: int, out: Path) -> str:
    """Run all cells, write `out`/sweep.csv and `out`/sweep.png, and return the table as text, with seconds per image.

    Where models/zoo/vision_encoder exists, pictures of the miniature's titles are scored by it.

    Raises:
        DifflabError: `out` is not a writable folder, or a model is not available.
    """
    if out.exists() and not out.is_dir():
        raise DifflabError(f"--out {out} is a file: give a folder")
    for name in (TABLE, GRID):
        _require_file(out / name)
    runtime.configure(machine.num_threads)
    ids, texts = list(prompts), list(prompts.values())

    def load(name: str) -> PromptedSampler:
        sampler = load_prompted(
            known_pipelines()[name], machine, seed=seed, batch_size=settings.batch_size, vae_batch=settings.vae,
            offload=settings.offload,
        )  # fmt: skip
        warnings.extend(f"{line} ({name})" for line in _truncations(sampler, texts, settings.negative))
        return sampler

    samplers, judge = sweep_cells.Samplers(load), load_judge(machine.device, seed)
    rows, pictures, warnings = [], [], []
    cells = sweep_cells.cells(settings)
    for cell in runtime.progress(cells, total=len(cells), desc="sweep", unit="cell"):
        made = sweep_cells.make(samplers(cell.model), cell.options, ids, texts)
        scores = {} if made.refused else {**judge(made.images, texts), "seconds_per_image": made.seconds}
        rows.append(sweep_cells.row(cell, made.refused, scores))
        pictures.append((cell, made.images))
    write_csv(out / TABLE, pd.DataFrame(rows), gaps=sweep_cells.GAPS)
    shown = sweep_cells.sheet_rows(pictures, settings.shown)
    (out / GRID).unlink(missing_ok=True)  # of another sweep
    if shown:
        write_bytes(out / GRID, png_bytes(rows_sheet(shown)))
    told = f"wrote {out / TABLE}" + (f" and {out / GRID}" if shown else "")
    return "\n".join([*warnings, table(rows), "", f"{told}, {len(cells)} cells of {len(prompts)} images"])


def load_judge(device: str, seed: int) -> SweepJudge:
    """The vision encoder where it exists, for class accuracy only: the command computes neither KID nor CLIP score."""
    from transformers.utils.logging import disable_progress_bar

    from difflab.core.base.roles import resolve
    from difflab.metrics.features.features import VisionEncoderExtractor

    disable_progress_bar()
    return SweepJudge(VisionEncoderExtractor(resolve(JUDGE), device) if JUDGE.exists() else None, None, None, seed)


def table(rows: Sequence[dict[str, object]]) -> str:
    """The rows as Markdown; the column "refused", the last, only where a cell was refused."""
    columns = list(dict.fromkeys(name for row in rows for name in row if name != "refused"))
    columns += ["refused"] * any(row["refused"] for row in rows)
    return tables.table(columns, [[_shown(name, row.get(name)) for name in columns] for row in rows])


def _shown(column: str, value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1%}" if column in _SHARES else f"{value:.3g}"
    return str(value)


def _by_id(prompts: Sequence[str]) -> dict[str, str]:
    """Prompts of the command line with ids, which decide the noise together with the seed."""
    if not all(prompt.strip() for prompt in prompts):
        raise DifflabError("a prompt is empty: describe the picture")
    return {f"prompt-{number:05d}": prompt for number, prompt in enumerate(prompts)}


def _truncations(sampler: PromptedSampler, prompts: Iterable[str], negative: str) -> list[str]:
    """A line for each text whose end the model does not read."""
    texts = [*(("prompt", prompt) for prompt in prompts), ("negative prompt", negative)]
    return [f"WARNING: the {what} has {truncation}" for what, text in texts if (truncation := sampler.truncation(text))]


def _require_file(path: Path) -> None:
    """Refuse a path that a file cannot be written to, before any work is done; its folder is made."""
    try:
        if path.is_dir():
            raise DifflabError(f"--out {path} is a folder: name a file, which may lie in it")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            pass
    except OSError as error:
        raise DifflabError(f"--out {path} cannot be written ({error.strerror}): name a file elsewhere") from None

"""`difflab sweep`: pictures under many options with the same noise, one table and one grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import ValidationError

from difflab.captioning import sweep_cells
from difflab.captioning.params.synthesis import AxesParams
from difflab.captioning.sweep_cells import SweepJudge
from difflab.captioning.variations_table import first_variations, read_variations
from difflab.cli.generate import prompt_ids, truncation_warnings
from difflab.cli.out import require_file
from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import png_bytes, write_bytes, write_csv
from difflab.core.params.loading import describe
from difflab.images.sheet import rows_sheet
from difflab.models.pipelines.known import find, load_prompted
from difflab.report import tables

if TYPE_CHECKING:
    from difflab.captioning.params.synthesis import SweepParams
    from difflab.core.params.common import RuntimeParams
    from difflab.models.pipelines.prompted import PromptedSampler

TITLES, JUDGE = Path("data/titles/variations.parquet"), Path("models/zoo/vision_encoder")
TABLE, GRID = "sweep.csv", "sweep.png"
_SHARES = ("digit_accuracy", "photo_accuracy", "both_accuracy")


@dataclass(frozen=True)
class Axes:
    """The values given on the command line; an empty axis is left to the presets, or to the models."""

    models: Sequence[str] = ()
    schedulers: Sequence[str] = ()
    num_inference_steps: Sequence[int] = ()
    guidance_scales: Sequence[float] = ()
    negative_prompt: str = ""


def chosen(settings: "SweepParams", presets: Sequence[str], axes: Axes) -> "SweepParams":
    """The settings with the named presets, their axes replaced by the given ones.

    Without a preset: the given axes, completed by each model's defaults; without either: every preset.

    Raises:
        DifflabError: an unknown preset, model or scheduler, or a number out of range.
    """
    if unknown := [name for name in presets if name not in settings.presets]:
        raise DifflabError(f"unknown preset '{unknown[0]}': one of {', '.join(settings.presets)}")
    models = [find(settings.known, name) for name in axes.models]
    names = ("schedulers", "num_inference_steps", "guidance_scales")
    given = {"models": models} | {name: list(getattr(axes, name)) for name in names}
    given |= {"negative": [False, True] if axes.negative_prompt else []}
    given = {name: values for name, values in given.items() if values}
    if presets or not given:
        bases = {name: settings.presets[name] for name in presets or settings.presets}
    else:
        bases = {name: own_axes(settings, name) for name in models or ["zoo"]}
        given.pop("models", None)
    try:
        replaced = {name: AxesParams(**{**base.model_dump(), **given}) for name, base in bases.items()}
    except ValidationError as error:
        raise DifflabError(describe(error)) from None
    negative = axes.negative_prompt or settings.negative
    return settings.model_copy(update={"presets": replaced, "negative": negative})


def own_axes(settings: "SweepParams", name: str) -> AxesParams:
    """The single cell of a model's defaults."""
    model = settings.known[name]
    return AxesParams(
        models=[name],
        schedulers=[model.scheduler],
        num_inference_steps=[model.num_inference_steps],
        guidance_scales=[model.guidance_scale],
        negative=[False],
    )


def asked(prompts: Sequence[str], count: int) -> dict[str, str]:
    """Prompts by id: the given ones, or the first variations of titles.

    Raises:
        DifflabError: a prompt is empty, or there are neither prompts nor variations.
    """
    if any(not prompt.strip() for prompt in prompts):
        raise DifflabError("a prompt is empty: describe the picture")
    if prompts:
        return dict(zip(prompt_ids(len(prompts)), prompts, strict=True))
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
        require_file(out / name)
    texts = [("prompt", prompt) for prompt in prompts.values()] + [("negative prompt", settings.negative)]

    def load(name: str) -> "PromptedSampler":
        sampler = load_prompted(settings.known[name], machine, seed=seed, batch_size=settings.batch_size)
        cuts.extend(f"{line} ({name})" for line in truncation_warnings(sampler, texts))
        return sampler

    samplers, judge = sweep_cells.Samplers(load), load_judge(machine.device, seed)
    rows, pictures, cuts = [], [], []
    cells = sweep_cells.cells(settings)
    for cell in runtime.progress(cells, total=len(cells), desc="sweep", unit="cell"):
        made = sweep_cells.make(samplers(cell.model), cell.options, list(prompts), list(prompts.values()))
        scores = {} if made.refused else judge(made.images, list(prompts.values()))
        seconds = {} if made.refused else {"seconds_per_image": made.seconds}
        rows.append(sweep_cells.row(cell, made.refused, scores | seconds))
        pictures.append((cell, made.images))
    write_csv(out / TABLE, pd.DataFrame(rows))
    shown = sweep_cells.sheet_rows(pictures, settings.shown)
    (out / GRID).unlink(missing_ok=True)  # of another sweep
    if shown:
        write_bytes(out / GRID, png_bytes(rows_sheet(shown)))
    told = f"wrote {out / TABLE}" + (f" and {out / GRID}" if shown else "")
    return "\n".join([*cuts, table(rows), "", f"{told}, {len(cells)} cells of {len(prompts)} images"])


def load_judge(device: str, seed: int) -> SweepJudge:
    """The vision encoder where it exists, for class accuracy only: the command computes neither KID nor CLIP score."""
    from transformers.utils.logging import disable_progress_bar

    from difflab.metrics.features.features import VisionEncoderExtractor
    from difflab.models.roles import resolve

    disable_progress_bar()
    return SweepJudge(VisionEncoderExtractor(resolve(JUDGE), device) if JUDGE.exists() else None, None, None, seed)


def table(rows: Sequence[dict[str, object]]) -> str:
    """The rows as Markdown; the column "refused" only where a cell was refused."""
    columns = list(dict.fromkeys(name for row in rows for name in row if name != "refused"))
    if any(row["refused"] for row in rows):
        columns.append("refused")
    return tables.table(columns, [[_shown(name, row.get(name)) for name in columns] for row in rows])


def _shown(column: str, value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1%}" if column in _SHARES else f"{value:.3g}"
    return str(value)

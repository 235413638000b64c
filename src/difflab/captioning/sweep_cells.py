"""Sweeps: the same noise and prompts under many sampling options, one model after the other, and their scores."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from difflab.captioning.picture_titles import title_accuracy
from difflab.core.base.errors import reading
from difflab.metrics.features.features import extract
from difflab.metrics.images.distances import kernel_distance
from difflab.models.pipelines.prompted import Options, PromptedSampler

if TYPE_CHECKING:
    from difflab.captioning.params import SweepParams
    from difflab.metrics.clip_score import ClipScorer
    from difflab.metrics.features.features import VisionEncoderExtractor


GAPS = ("digit_accuracy", "photo_accuracy", "both_accuracy", "kid", "clip_score", "seconds_per_image")
"""Columns without a value where a cell was refused or a judge is not there."""


@dataclass(frozen=True)
class Cell:
    """One cell of a sweep: a model and its sampling options."""

    model: str
    options: Options

    @property
    def name(self) -> str:
        """For people: `zoo, ddim, 10 steps, guidance 3, negative prompt`."""
        o = self.options
        text = f"{self.model}, {o.scheduler}, {o.num_inference_steps} steps, guidance {o.guidance_scale:g}"
        return text + (", negative prompt" if o.negative_prompt else "")

    @property
    def key(self) -> str:
        """For metrics: `zoo_ddim_s10_g3_negative`."""
        o = self.options
        text = f"{self.model}_{o.scheduler}_s{o.num_inference_steps}_g{o.guidance_scale:g}"
        return text.replace("+", "p") + ("_negative" if o.negative_prompt else "")  # MLflow takes no plus


@dataclass(frozen=True)
class CellImages:
    """The images of a cell, or why there are none."""

    images: np.ndarray  # uint8 [n, H, W, 3] in the order of the prompts; empty where the model refused
    refused: str = ""  # why the model cannot take the options
    seconds: float = 0.0  # for each image, without loading the model


def cells(params: "SweepParams") -> list[Cell]:
    """The cells of all presets, each once, model by model."""
    found: dict[Cell, None] = {}
    for axes in params.presets.values():
        negative = [params.negative if asked else "" for asked in axes.negative]
        options = product(axes.schedulers, axes.num_inference_steps, axes.guidance_scales, negative)
        found |= {Cell(model, Options(*values)): None for model, values in product(axes.models, list(options))}
    models = list(dict.fromkeys(cell.model for cell in found))
    return sorted(found, key=lambda cell: models.index(cell.model))


class Samplers:
    """The sampler of one model at a time: another name loads another model and lets the last one go."""

    def __init__(self, load: Callable[[str], PromptedSampler]) -> None:
        self._load, self._held = load, dict[str, PromptedSampler]()

    def __call__(self, name: str) -> PromptedSampler:
        if name not in self._held:
            self._held.clear()
            self._held[name] = self._load(name)
        return self._held[name]


@dataclass(frozen=True)
class SweepJudge:
    """What all cells are scored by; scores of what is None are left out."""

    extractor: "VisionEncoderExtractor | None"  # classifies digits and photographs, and gives the features of KID
    reference: np.ndarray | None  # features of real pictures for KID, float32 [n, d]
    clip: "ClipScorer | None"
    seed: int  # of KID's subsets
    side: int | None = None  # of the square pictures in pixels, which generated ones are brought to for KID

    def __call__(self, images: Sequence[np.ndarray] | np.ndarray, titles: Sequence[str]) -> dict[str, float | None]:
        """Of digit_accuracy, photo_accuracy, both_accuracy, kid and clip_score, those that are available."""
        scores: dict[str, float | None] = {}
        if self.extractor is not None:
            scores |= title_accuracy(images, titles, self.extractor)
            if self.reference is not None:
                scores["kid"] = kernel_distance(
                    extract(images, self.extractor, side=self.side), self.reference, seed=self.seed
                )
        if self.clip is not None:
            scores["clip_score"] = self.clip(images, titles)
        return scores


def make(sampler: PromptedSampler, options: Options, ids: Sequence[str], prompts: Sequence[str]) -> CellImages:
    """The images of one cell, or why there are none."""
    if reason := sampler.refusal(options):
        return CellImages(np.zeros((0, 0, 0, 3), np.uint8), reason)
    started = time.perf_counter()
    images = np.concatenate(list(sampler.images(ids, prompts, options)))
    return CellImages(images, seconds=(time.perf_counter() - started) / len(ids))


def save_images(path: Path, made: CellImages) -> None:
    """Write the images of a cell, without the seconds, which an interrupted run falsifies."""
    np.savez(path, images=made.images, refused=np.array(made.refused))


def load_images(path: Path) -> CellImages:
    """What `save_images` wrote."""
    with reading(path, "delete it: its images are made again"), np.load(path) as content:
        return CellImages(content["images"], str(content["refused"]))


def row(cell: Cell, refused: str, scores: Mapping[str, float | None]) -> dict[str, Any]:
    """A cell's row of the table, without times."""
    o = cell.options
    named: dict[str, Any] = {"model": cell.model, "scheduler": o.scheduler, "steps": o.num_inference_steps}
    named |= {"guidance": o.guidance_scale, "negative": bool(o.negative_prompt)}
    return {**named, **scores, "refused": refused}


def sheet_rows(made: Iterable[tuple[Cell, np.ndarray]], count: int) -> list[tuple[str, np.ndarray]]:
    """Names and first `count` images of the cells that made any, for `sheet.rows_sheet`."""
    return [(cell.name, images[:count]) for cell, images in made if len(images)]

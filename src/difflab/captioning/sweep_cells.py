"""Sweeps: the same noise and prompts under many sampling options, one model after the other, and their scores."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from difflab.captioning.title_accuracy import title_accuracy
from difflab.core.base.errors import DifflabError
from difflab.metrics.distances import kernel_distance
from difflab.metrics.features.features import extract
from difflab.models.pipelines.prompted import Options, PromptedSampler

if TYPE_CHECKING:
    from difflab.captioning.params.synthesis import AxesParams, SweepParams
    from difflab.metrics.clip_score import ClipScorer
    from difflab.metrics.features.features import VisionEncoderExtractor


@dataclass(frozen=True)
class Cell:
    """One cell of a sweep: a model and its sampling options."""

    model: str
    options: Options

    @property
    def name(self) -> str:
        """The cell as a row is named: `zoo, ddim, 10 steps, guidance 3, negative prompt`."""
        options = self.options
        parts = [self.model, options.scheduler, f"{options.num_inference_steps} steps"]
        parts.append(f"guidance {options.guidance_scale:g}")
        return ", ".join([*parts, "negative prompt"] if options.negative_prompt else parts)

    @property
    def key(self) -> str:
        """The same as the name of a metric: `zoo_ddim_s10_g3_negative`."""
        options = self.options
        scheduler = options.scheduler.replace("+", "p")  # MLflow takes no plus
        text = f"{self.model}_{scheduler}_s{options.num_inference_steps}_g{options.guidance_scale:g}"
        return text + ("_negative" if options.negative_prompt else "")


@dataclass(frozen=True)
class CellImages:
    """The images of a cell.

    Attributes:
        images: uint8 [n, H, W, 3] in the order of the prompts; empty where the model refused.
        refused: why the model cannot take the options; empty where it can.
        seconds: for each image, without loading the model.
    """

    images: np.ndarray
    refused: str = ""
    seconds: float = 0.0


def cells(params: "SweepParams", presets: Sequence[str] = ()) -> list[Cell]:
    """The cells of some presets (all, if none is named), each once, model by model.

    Raises:
        DifflabError: there is no such preset.
    """
    if unknown := [name for name in presets if name not in params.presets]:
        raise DifflabError(f"unknown preset '{unknown[0]}': one of {', '.join(params.presets)}")
    found = [
        cell for name in presets or params.presets for cell in _combinations(params.presets[name], params.negative)
    ]
    models = list(dict.fromkeys(cell.model for cell in found))
    return sorted(dict.fromkeys(found), key=lambda cell: models.index(cell.model))


def _combinations(axes: "AxesParams", negative: str) -> Iterator[Cell]:
    order = (axes.models, axes.schedulers, axes.num_inference_steps, axes.guidance_scales, axes.negative)
    for model, scheduler, steps, guidance, with_negative in product(*order):
        yield Cell(model, Options(scheduler, steps, guidance, negative if with_negative else ""))


class Samplers:
    """The sampler of one model at a time: another name loads another model and lets the last one go.

    Args:
        load: makes the sampler of a model by its name.
    """

    def __init__(self, load: Callable[[str], PromptedSampler]) -> None:
        self._load, self._name = load, ""
        self._sampler: PromptedSampler | None = None

    def __call__(self, name: str) -> PromptedSampler:
        if name != self._name:
            self._sampler = None
            self._name, self._sampler = name, self._load(name)
        assert self._sampler is not None
        return self._sampler


@dataclass(frozen=True)
class SweepJudge:
    """What all cells are scored by.

    Attributes:
        extractor: classifies digits and photographs, and gives the features of KID; None: neither.
        reference: features of real pictures, float32 [n, d]; None: no KID.
        clip: None: no CLIP score.
        seed: of KID's subsets.
    """

    extractor: "VisionEncoderExtractor | None"
    reference: np.ndarray | None
    clip: "ClipScorer | None"
    seed: int

    def __call__(self, images: Sequence[np.ndarray] | np.ndarray, titles: Sequence[str]) -> dict[str, float | None]:
        """Of digit_accuracy, photo_accuracy, both_accuracy, kid and clip_score, those that are available."""
        scores: dict[str, float | None] = {}
        if self.extractor is not None:
            scores |= title_accuracy(images, titles, self.extractor)
            if self.reference is not None:
                features = extract(images, self.extractor)
                scores["kid"] = kernel_distance(features, self.reference, seed=self.seed)
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
    with path.open("wb") as stream:
        np.savez(stream, images=made.images, refused=np.array(made.refused))


def load_images(path: Path) -> CellImages:
    """What `save_images` wrote."""
    with np.load(path) as content:
        return CellImages(content["images"], str(content["refused"]))


def row(cell: Cell, refused: str, scores: Mapping[str, float | None]) -> dict[str, object]:
    """A cell's row of the table, without times."""
    options = cell.options
    result: dict[str, object] = {"model": cell.model, "scheduler": options.scheduler}
    result |= {"steps": options.num_inference_steps}
    result |= {"guidance": options.guidance_scale, "negative": bool(options.negative_prompt)}
    return {**result, **scores, "refused": refused}


def sheet_rows(made: Iterable[tuple[Cell, np.ndarray]], count: int) -> list[tuple[str, np.ndarray]]:
    """Names and first `count` images of the cells that made any, for `sheet.rows_sheet`."""
    return [(cell.name, images[:count]) for cell, images in made if len(images)]

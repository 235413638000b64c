"""What a base loses without one of its blocks: on held-out images, and in the pictures that it makes."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor

from difflab.core.base.files import read_tensors
from difflab.core.base.runtime import resolve_device
from difflab.metrics.features.features import extract, extract_and_classify
from difflab.sd3.blocks.ablation import Updates, ablated, mean_updates
from difflab.sd3.blocks.ways import MEAN, WAYS
from difflab.sd3.training.flow_training import (
    HELD_OUT_SEED,
    HELD_OUT_SIGMAS,
    NUM_TRAIN_TIMESTEPS,
    add_noise,
    squared_error,
)
from difflab.training.optimizer import autocast_of

if TYPE_CHECKING:
    from difflab.core.params.common import RuntimeParams
    from difflab.metrics.features.features import VisionEncoderExtractor
    from difflab.sd3.params import BlocksParams, GenerateParams
    from difflab.sd3.sampling import Generator
    from difflab.sd3.scoring.scores import Judge
    from difflab.sd3.training.examples import Examples

WHOLE = "whole"  # the cell of the base with all its blocks


@dataclass(frozen=True)
class Seen:
    """What is measured of one cell.

    Attributes:
        errors: squared error of the velocity, [held-out images, `HELD_OUT_SIGMAS`].
        features: of the generated pictures, [pictures, dim].
        correct: by class set whether a picture shows the class of its prompt, 0 or 1; NaN where it has none.
    """

    errors: np.ndarray
    features: np.ndarray
    correct: dict[str, np.ndarray]

    def save(self, path: Path) -> None:
        tensors = {"errors": self.errors, "features": self.features}
        save_file(tensors | {f"correct {name}": values for name, values in self.correct.items()}, path)

    @classmethod
    def load(cls, path: Path) -> "Seen":
        tensors = {name: tensor.numpy() for name, tensor in read_tensors(path).items()}
        found = {name.removeprefix("correct "): t for name, t in tensors.items() if name.startswith("correct ")}
        return cls(tensors["errors"], tensors["features"], found)


def cell_names(blocks: int) -> list[str]:
    """The base, then every block in every way: "whole", "mean-0", "mean-1", ..."""
    return [WHOLE, *(f"{way}-{block}" for way in WAYS for block in range(blocks))]


@dataclass
class Bench:
    """The base with all that its blocks are measured on.

    Attributes:
        held_out, train: samples of the loss, and those that mean ablation averages over.
        ids: whose prompts pictures are made for, with the noise of the first draw of training 0, the same in each cell.
    """

    generator: "Generator"
    judge: "Judge"
    held_out: "Examples"
    train: "Examples"
    ids: Sequence[str]
    settings: "BlocksParams"
    sampling: "GenerateParams"
    runtime: "RuntimeParams"

    def look(self, cell: str) -> Seen:
        """Measure a cell of `cell_names`."""
        way, _, block = cell.partition("-")
        updates = self._updates if way == MEAN else None
        transformer = self.generator.transformer
        with nullcontext() if cell == WHOLE else ablated(transformer, int(block), way, updates):
            return Seen(self._errors(), *self._pictures())

    @cached_property
    def _updates(self) -> Updates:
        """Of every block, at the levels of noise of the loss and of the sampler."""
        scheduler = self.generator.scheduler
        scheduler.set_timesteps(self.sampling.num_inference_steps)
        levels = [NUM_TRAIN_TIMESTEPS * sigma for sigma in HELD_OUT_SIGMAS] + scheduler.timesteps.tolist()
        timesteps = torch.tensor(sorted(set(levels)), dtype=torch.float32)
        with self._autocast:
            return mean_updates(self.generator.transformer, timesteps, self._passes)

    def _passes(self, timestep: float) -> Iterator[dict[str, Tensor]]:
        """Forward passes over the training images at one level of noise."""
        dtype, device = self.generator.transformer.dtype, self._device
        for index in torch.arange(len(self.train)).split(self.sampling.batch_size):
            batch = self.train.held_out_batch(index, HELD_OUT_SEED, device)
            sigma = batch.x0.new_full((len(index),), timestep / NUM_TRAIN_TIMESTEPS)
            yield {
                "hidden_states": add_noise(batch.x0, batch.noise, sigma).to(dtype),
                "timestep": NUM_TRAIN_TIMESTEPS * sigma,
                "encoder_hidden_states": batch.prompt_embeds.to(dtype),
                "pooled_projections": batch.pooled_prompt_embeds.to(dtype),
            }

    @torch.no_grad()
    def _errors(self) -> np.ndarray:
        rows = []
        for index in torch.arange(len(self.held_out)).split(self.sampling.batch_size):
            batch = self.held_out.held_out_batch(index, HELD_OUT_SEED, self._device)
            levels = (batch.x0.new_full((len(index),), sigma) for sigma in HELD_OUT_SIGMAS)
            with self._autocast:
                found = [squared_error(self.generator.transformer, batch, sigma) for sigma in levels]
            rows.append(torch.stack(found, dim=1).double().cpu().numpy())
        return np.concatenate(rows)

    def _pictures(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        sampling, judge = self.sampling, self.judge
        how = sampling.seeds[0], sampling.num_inference_steps, sampling.guidance_scale
        images = self.generator.images(self.ids, self.settings.captions, 0, *how)
        batch_size = judge.params.batch_size
        if not judge.class_sets:
            return extract(images, judge.extractor, batch_size, judge.side), {}
        extractor = cast("VisionEncoderExtractor", judge.extractor)  # no other sees classes
        features, seen = extract_and_classify(images, extractor, batch_size, judge.side)
        rows = judge.attributes.loc[list(self.ids)]
        expected = {classes.name: classes.of_rows(rows) for classes in judge.class_sets}
        return features, {n: np.where(e < 0, np.nan, 1.0 * (seen[n] == e)) for n, e in expected.items()}

    @cached_property
    def _device(self) -> torch.device:
        return resolve_device(self.runtime.device)

    @cached_property
    def _autocast(self) -> Any:
        return autocast_of(self.runtime)


def by_cell(paths: Iterable[Path], names: Sequence[str]) -> dict[str, Seen]:
    return {name: Seen.load(path) for name, path in zip(names, paths, strict=True)}

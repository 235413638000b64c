"""Sweep schedulers, guidance, steps, negative prompt and models, with the same noise and prompts in every cell."""

from pathlib import Path
from typing import Any

import pandas as pd

from difflab.captioning import sweep_cells
from difflab.captioning.params import SweepInputs
from difflab.captioning.picture_titles import first_variations, read_variations
from difflab.captioning.sweep_cells import SweepJudge
from difflab.core.base.files import png_bytes, write_bytes, write_csv
from difflab.core.base.roles import resolve
from difflab.core.base.sharding import process_chunks
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.images.sheet import rows_sheet
from difflab.metrics.clip_score import ClipScorer
from difflab.metrics.features.features import VisionEncoderExtractor, reference_features
from difflab.models.known.pipelines import known_pipelines
from difflab.models.pipelines.prompted import PromptedSampler, load_prompted
from difflab.models.pointers import fetch

TITLES, ORIGINALS = "data/titles/variations.parquet", "data/images/recipes"
JUDGE = "models/zoo/vision_encoder"
TABLE, GRID, METRICS = "plots/sweep.csv", "plots/sweep.png", "metrics/sweep.json"


def main(stage: Stage[SweepInputs]) -> None:
    settings, runtime, seed = stage.params.sweep, stage.params.runtime, stage.params.seed
    titles = first_variations(read_variations(TITLES), settings.num_images)
    ids, prompts = list(titles), list(titles.values())
    cells = {cell.name: cell for cell in sweep_cells.cells(settings)}

    def load(name: str) -> PromptedSampler:
        return load_prompted(
            known_pipelines()[name], runtime, seed=seed, batch_size=settings.batch_size, vae_batch=settings.vae,
            offload=settings.offload,
        )  # fmt: skip

    samplers = sweep_cells.Samplers(load)

    def make(names: list[str], path: Path) -> None:
        cell = cells[names[0]]
        sweep_cells.save_images(path, sweep_cells.make(samplers(cell.model), cell.options, ids, prompts))

    parts = process_chunks(list(cells), 1, stage.scratch(), make, what="cells", suffix=".npz")
    if parts is None:
        return
    extractor, originals = VisionEncoderExtractor(resolve(JUDGE), runtime.device), ImageStore(ORIGINALS)
    side = int(originals.index["width"].iloc[0])  # `prepare_images` makes equal squares
    reference = reference_features(originals, originals.ids, extractor, side=side)
    clip = ClipScorer(fetch(settings.clip), runtime.device) if settings.clip else None
    judge = SweepJudge(extractor, reference, clip, seed, side)
    rows, pictures = [], []
    metrics: dict[str, Any] = {"n": len(ids), "cells": len(cells), "refused": 0, "ruler": extractor.ruler}
    for cell, path in zip(cells.values(), parts, strict=True):
        made = sweep_cells.load_images(path)
        scores = {} if made.refused else judge(made.images, prompts)
        rows.append(sweep_cells.row(cell, made.refused, scores))
        pictures.append((cell, made.images))
        metrics["refused"] += bool(made.refused)
        metrics |= {f"{cell.key}_{name}": value for name, value in scores.items()}
        if made.refused:
            print(f"{cell.name}: refused, {made.refused}")
    write_csv(TABLE, pd.DataFrame(rows), gaps=sweep_cells.GAPS)
    shown = sweep_cells.sheet_rows(pictures, settings.shown)
    write_bytes(GRID, png_bytes(rows_sheet(shown, titles=prompts[: settings.shown])))
    stage.write_metrics(METRICS, metrics)
    stage.done(f"wrote {TABLE} and {GRID}, {len(cells)} cells of {len(ids)} images, {metrics['refused']} refused")


if __name__ == "__main__":
    run(main, split=True)

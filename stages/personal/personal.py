"""Teach each subject to the base by every method and prior, and measure what is learnt, kept and memorised."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from difflab.core.base import roles
from difflab.core.base.files import atomic_path, link_or_copy, png_bytes, read_json, write_bytes, write_csv
from difflab.core.base.runtime import process_index
from difflab.core.base.stage import Stage, run
from difflab.datasets import KNOWN
from difflab.images.archives.opening import open_source
from difflab.images.sheet import rows_sheet
from difflab.metrics.clip_score import ClipScorer
from difflab.metrics.features.features import VisionEncoderExtractor
from difflab.models.pipelines.prompted import TRAINED, load_prompted
from difflab.models.pointers import fetch
from difflab.personal import outcomes
from difflab.personal.base import Base
from difflab.personal.cells import METHODS, PRIORS, Cell, curve_cell, picture_cells, steps_are_measured, table_cells
from difflab.personal.image_encoders import ImageEncoder
from difflab.personal.judging import class_sets_named, unjudged
from difflab.personal.params import PersonalInputs
from difflab.personal.subjects import Subject, read_subjects
from difflab.personal.trainings import RESULT, SHOWN, Study
from difflab.training.seeds import train_all

JUDGE, DATA = "models/zoo/vision_encoder", "data/raw/subjects"


def main(stage: Stage[PersonalInputs]) -> None:
    params, scratch = stage.params.personal, stage.scratch()
    study = load(stage)
    cells = list(dict.fromkeys([*table_cells(params), *picture_cells(params)]))
    units = [(subject, seed) for subject in study.subjects for seed in params.seeds]
    trainings = {
        name(cell, *unit): partial(
            study.train, cell, *unit, stage.params.runtime, scratch, stage.run.log_metrics,
            params.curve_steps if steps_are_measured(cell, params) else (),
        )
        for cell in cells
        for unit in units
    }  # fmt: skip
    folders = train_all(
        trainings, kept=stage.kept("personal.seeds"), scratch=scratch, what="personal", log=stage.run.log_metrics
    )
    if process_index()[0] != 0:
        return
    accuracy = study.judge.held_out_accuracy()
    left = unjudged(accuracy, class_known=study.class_known)
    results = {training: judged(read_json(folder / RESULT), left) for training, folder in folders.items()}
    bases = {unit: study.of_base(*unit) for unit in units}
    found = {cell.name: [results[name(cell, *u)]["measures"] for u in units] for cell in table_cells(params)}
    metrics: dict[str, Any] = outcomes.table({"base": [without(bases[u][0], left) for u in units], **found})
    metrics |= outcomes.prior_effects(found, params.margin) | curves(stage, results, units, left)
    metrics |= {"judge_accuracy": accuracy, "trainings": len(units), "cells": len(found)}
    metrics |= {"pictures": max(params.pictures), "steps": params.training.steps, "margin": params.margin}
    metrics |= {"subjects": len(study.subjects), "seeds": len(params.seeds), "ruler": study.extractor.ruler}
    write_bytes("plots/personal.png", png_bytes(rows_sheet(sheet(study, folders, params.seeds[0], bases))))
    with atomic_path("models/personal") as temporary:
        for training, folder in folders.items():
            for file in sorted(p for p in (folder / "model").rglob("*") if p.is_file()):
                target = temporary / training / file.relative_to(folder / "model")
                target.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(file, target)
    stage.write_metrics("metrics/personal.json", metrics)
    stage.done(f"wrote models/personal; {told(metrics, list(found))}")


def without(measures: dict[str, float], left: Sequence[str]) -> dict[str, float]:
    return {name: value for name, value in measures.items() if name not in left}


def judged(result: dict[str, Any], left: Sequence[str]) -> dict[str, Any]:
    """What a training gave without the measures that mean nothing."""
    by_step = {step: without(measures, left) for step, measures in result["by_step"].items()}
    return result | {"measures": without(result["measures"], left), "by_step": by_step}


def told(metrics: Mapping[str, Any], cells: Sequence[str]) -> str:
    """What was learnt, in a phrase."""
    if "base_subject_accuracy" not in metrics:
        named = metrics["judge_accuracy"]
        return f"whether the subject shows is not judged: of its own pictures the encoder names {named:.0%}"
    best = max(cells, key=lambda cell: metrics[f"{cell}_subject_accuracy"])
    after, before = metrics[f"{best}_subject_accuracy"], metrics["base_subject_accuracy"]
    return f"the subject shows in {after:.0%} of pictures ({best}), before in {before:.0%}"


def name(cell: Cell, subject: str, seed: int) -> str:
    return f"{cell.name}-{cell.pictures}-{subject}-{seed}"


def load(stage: Stage[PersonalInputs]) -> Study:
    """The base, the subjects and the encoder that judges."""
    params, runtime = stage.params.personal, stage.params.runtime
    full = runtime.model_copy(
        update={"dtype": "float32"}
    )  # what is trained keeps its precision; autocast does the rest
    pipeline = load_prompted(params.base, full, seed=0, batch_size=1).pipeline
    base = Base(pipeline)
    hub = params.base.hub
    origin = roles.fingerprint(TRAINED) if hub is None else roles.fingerprint(fetch(hub))
    archive = open_source(DATA, stage.params.data.data_root)
    subjects = read_subjects(archive, params, params.image_size or base.image_size)
    for subject in subjects:
        subject.check_pictures(max(params.pictures), params.leave_out)
    words = [subject.words.instance for subject in subjects]
    outcomes.check_prompts(params.prompts, [t for s in subjects for texts in s.texts for t in texts], words)
    resolved = roles.resolve(JUDGE)
    extractor = VisionEncoderExtractor(resolved, runtime.device, trained_here=str(resolved) == JUDGE)
    plain = subjects[0].words.class_word or words[0]
    class_sets = class_sets_named([template.format(plain) for template in params.prompts], KNOWN)
    named = {"dino": params.encoders.dino, "clip_image": params.encoders.clip}
    encoders = {name: ImageEncoder(fetch(hub), runtime.device) for name, hub in named.items() if hub is not None}
    clip = params.encoders.clip
    return Study(
        base, subjects, extractor, class_sets, params, seed=stage.params.seed, origin=origin, encoders=encoders,
        clip_text=None if clip is None else ClipScorer(fetch(clip), runtime.device),
    )  # fmt: skip


def curves(
    stage: Stage[PersonalInputs], results: dict, units: list[tuple[str, int]], left: Sequence[str]
) -> dict[str, float]:
    """The curves over pictures and steps, as metrics; their points go to plots/personal.csv, with gaps for `left`."""
    params = stage.params.personal
    last = curve_cell(params)
    points = [*picture_cells(params), last]
    by_pictures = {str(c.pictures): [results[name(c, *u)]["measures"] for u in units] for c in points}
    by_steps = {str(n): [results[name(last, *u)]["by_step"][str(n)] for u in units] for n in params.curve_steps}
    by_steps[str(params.training.steps)] = by_pictures[str(last.pictures)]
    rows = []
    for axis, cells in (("pictures", by_pictures), ("steps", by_steps)):
        for number, trainings in cells.items():
            for (subject, seed), values in zip(units, trainings, strict=True):
                place = {"axis": axis, "value": int(number), "subject": subject, "seed": seed}
                rows.append(place | values | dict.fromkeys(left))
    write_csv("plots/personal.csv", pd.DataFrame(rows))
    return outcomes.table(by_pictures, "pictures_") | outcomes.table(by_steps, "steps_")


def sheet(study: Study, folders: dict[str, Path], seed: int, bases: dict) -> list[tuple[str, np.ndarray]]:
    """Rows of pictures for each subject: its own, the base's, and those of every cell of the table."""
    rows: list[tuple[str, np.ndarray]] = []
    for subject in study.subjects.values():
        rows.append((f"{subject.name}: pictures", own(subject, study.params.shown)))
        rows.append(("base", bases[subject.name, seed][1]))
        for cell in table_cells(study.params):
            title = f"{METHODS[cell.method]}, {PRIORS[cell.prior]}"
            rows.append((title, np.load(folders[name(cell, subject.name, seed)] / SHOWN)))
    return rows


def own(subject: Subject, count: int) -> np.ndarray:
    return subject.images[:count]


if __name__ == "__main__":
    run(main)

"""What is kept of the training of one seed, and the outputs of a cell, which joins those of all seeds."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difflab.core.base.files import atomic_path, read_json, write_csv, write_json
from difflab.ddpm.common.networks import save_denoiser
from difflab.training.curve import CURVE_GAPS, final_metrics
from difflab.training.seeds import save_curve, seed_curves, seed_metrics

if TYPE_CHECKING:
    import pandas as pd

    from difflab.ddpm.common.denoiser import Denoiser
    from difflab.ddpm.params import ScheduleParams
    from difflab.training.curve import Row


def save_training(
    folder: Path, denoiser: "Denoiser", rows: "list[Row]", schedule: "ScheduleParams", **facts: Any
) -> None:
    """Write the model of one seed (`<folder>/model`, see `save_denoiser`), its curve and its last values."""
    folder.mkdir()
    save_denoiser(folder / "model", denoiser, schedule, **facts)
    save_curve(folder, rows)
    size = sum(p.numel() for p in denoiser.parameters())
    write_json(folder / "result.json", {**final_metrics(rows), "parameters": size})


def join_trainings(
    folders: Mapping[int, Path], models: Path, curves: str | Path
) -> tuple["pd.DataFrame", dict[str, float]]:
    """Copy the models of all seeds to `models`, write their curves; returns these and the metrics by seed."""
    with atomic_path(models) as temporary:
        for seed, folder in folders.items():
            shutil.copytree(folder / "model", temporary / f"seed-{seed}")
    table = seed_curves(folders)
    write_csv(curves, table, gaps=CURVE_GAPS)
    return table, seed_metrics({seed: read_json(folder / "result.json") for seed, folder in folders.items()})

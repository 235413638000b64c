"""Which figures the report has, and what they are drawn from; a figure whose inputs do not exist is not drawn."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from difflab.core.base.files import png_bytes, write_bytes
from difflab.images.grid import tiles
from difflab.images.sheet import rows_sheet
from difflab.report import figures
from difflab.report.figures import render
from difflab.report.findings import logit_means
from difflab.report.study_tables import published
from difflab.report.summary import part
from difflab.sd3.cells import ADAPTERS, CAPTIONS, FINE_TUNED, MINUS, adapter_name

COMPARED = 6  # samples of the before and after


def draw(summary: Mapping[str, float], folder: Path, logit_std: float, convention: str, root: Path) -> list[str]:
    """Draw every figure whose inputs exist below `root` into `folder`; return the inputs that do not exist."""
    missing: list[str] = []

    def read(path: str) -> pd.DataFrame | None:
        if (root / path).is_file():
            return pd.read_csv(root / path)
        missing.append(path)
        return None

    sd3, captioning = part(summary, "sd3"), part(summary, "captioning")
    means = logit_means(sd3)
    drawn = {"sigma_densities": lambda: figures.sigma_densities(means, logit_std, sd3["shift"], convention)}
    if "best_fid" in sd3:
        drawn["fid_by_cell"] = lambda: figures.fid_by_cell(sd3, means)
    cells = [(captions, adapter) for captions in CAPTIONS for adapter in FINE_TUNED]
    curves = {cell: rows for cell in cells if (rows := read(f"plots/finetune/{'-'.join(cell)}.csv")) is not None}
    if curves:
        drawn["loss"] = lambda: figures.loss_curves(curves, means)
    if figures.sigma_columns(curves):
        drawn["loss_by_sigma"] = lambda: figures.loss_by_sigma(curves, means)
    for stage, x, label, known in (
        ("guidance_curve", "guidance_scale", "guidance scale", "fid_by_guidance"),
        ("step_curve", "step", "training step", "fid_by_step"),
    ):
        if (rows := read(f"plots/{stage}.csv")) is not None:
            args = rows, published()[known], x, label
            drawn[stage] = lambda args=args: figures.curve_beside_published(*args)
    runs = read("plots/captioner/scores.csv")
    if runs is not None and "original_share" in captioning:
        drawn["captions_by_share"] = lambda: figures.captions_by_share(captioning, runs)
    for name, function in drawn.items():
        render(function, folder / f"{name}.png")
    if (prompts := read("data/scores/prompts.csv")) is not None:
        for captions in CAPTIONS:
            if sheet := before_after(root / "plots/grids", captions, prompts, means):
                write_bytes(folder / f"before_after_{captions}.png", png_bytes(sheet))
    return missing


def before_after(grids: Path, captions: str, prompts: pd.DataFrame, means: dict[str, float]) -> Image.Image | None:
    """The first samples of every adapter side by side, each row with its prompt; None where a grid does not exist.

    Args:
        grids: folder of the pictures `real.png` and `<adapter>-<captions>.png`, tiled in the order of `prompts`.
        prompts: columns `id` and one for each kind of captions.
    """
    columns = {"real": "real"} | {f"{a}-{captions}": adapter_name(a, means).replace(MINUS, "-") for a in ADAPTERS}
    paths = [grids / f"{name}.png" for name in columns]
    if not all(path.is_file() for path in paths):
        return None
    count = min(COMPARED, len(prompts))
    pictures = [tiles(np.asarray(Image.open(path).convert("RGB")), ncols=8, count=count) for path in paths]
    rows = list(zip(prompts[captions][:count], zip(*pictures, strict=True), strict=True))
    return rows_sheet(rows, side=88, titles=list(columns.values()))

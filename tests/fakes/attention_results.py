"""What `attention_maps` writes, in plausible numbers, by the code that writes it."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from difflab.attention import looks
from difflab.core.base.files import png_bytes, write_bytes, write_csv, write_json
from difflab.images.sheet import rows_sheet
from difflab.sd3.artifacts.cells import ADAPTERS


def table(blocks: int = 3, trainings: int = 2) -> pd.DataFrame:
    """The scores of all models; block 1 looks best, and fine-tuned models a little better than the base."""
    drawn = np.random.default_rng(0)
    rows = []
    for model, training, half, block in itertools.product(
        ADAPTERS, range(trainings), ("choice", "score"), range(blocks)
    ):
        for step, sigma in ((0, 0.9), (1, 0.5), (looks.MEAN, np.nan)):
            share = 0.5 + 0.2 * (block == 1) + 0.05 * (model != looks.GIVEN) + 0.01 * drawn.random()
            row = {"model": model, "training": training, "part": "digit", "half": half, "n": 75, "block": block}
            row |= {"step": step, "sigma": sigma, "pointing_accuracy": share, "iou": share / 2}
            rows.append(row | {"others_accuracy": share - 0.1, "ari": share / 3 if step == looks.MEAN else np.nan})
    return pd.DataFrame(rows, columns=list(looks.COLUMNS))


def write_attention_inputs(root: Path) -> None:
    found = table()
    write_csv(root / "plots/attention_maps.csv", found, gaps=looks.GAPS)
    references = {
        f"digit_{n}_{m}": v for n in ("chance", "prior") for m, v in (("pointing_accuracy", 0.4), ("iou", 0.2))
    }
    metrics = {"n": 150, "coverage": 0.125, "trainings": 2} | references | looks.summarise(found)
    write_json(root / "metrics/attention_maps.json", metrics)
    write_bytes(
        root / "plots/attention_maps.png", png_bytes(rows_sheet([("digits", np.zeros((1, 8, 8, 3), np.uint8))]))
    )

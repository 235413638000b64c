"""What `personal` writes, in plausible numbers, by the code that writes it."""

from pathlib import Path

import numpy as np
import pandas as pd

from difflab.core.base.files import png_bytes, write_bytes, write_csv, write_json
from difflab.images.sheet import rows_sheet
from difflab.personal import outcomes
from difflab.personal.cells import METHODS, PRIORS

MEASURES = {
    "subject_accuracy": 0.8, "similarity": 0.5, "prompt_accuracy": 0.6, "drift_kid": 1.0, "class_correct": 0.5,
    "diversity": 0.5, "memorisation": 0.01,
}  # fmt: skip


def write_personal_inputs(root: Path) -> None:
    """Two subjects; a prior halves the drift."""
    drawn = np.random.default_rng(0)

    def trainings(factor: float = 1.0) -> list[dict[str, float]]:
        return [
            {m: v * (factor if m == "drift_kid" else 1) * (0.95 + 0.1 * drawn.random()) for m, v in MEASURES.items()}
            for _ in range(2)
        ]

    cells = {
        f"{m}_{p}": trainings(1.0 if p == "none" else 0.5) for m in METHODS if m != "textual_inversion" for p in PRIORS
    }
    cells |= {"textual_inversion_none": trainings(0.1), "base": trainings(0.05)}
    rows, points = [], {}
    for axis, values in (("pictures", (3, 5, 9)), ("steps", (15, 30, 60))):
        for value in values:
            points[f"{axis}_{value}"] = trainings()
            rows += [{"axis": axis, "value": value, "subject": s, "seed": 0, **t}
                     for s, t in zip("ab", points[f"{axis}_{value}"], strict=True)]  # fmt: skip
    write_csv(root / "plots/personal.csv", pd.DataFrame(rows))
    counts = {"subjects": 2, "trainings": 2, "pictures": 9, "steps": 60, "judge_accuracy": 1.0}
    found = outcomes.table(cells) | outcomes.prior_effects(cells, margin=0.05)
    for axis in ("pictures", "steps"):
        found |= outcomes.table({n.partition("_")[2]: t for n, t in points.items() if n.startswith(axis)}, f"{axis}_")
    write_json(root / "metrics/personal.json", found | counts)
    write_bytes(root / "plots/personal.png", png_bytes(rows_sheet([("digits", np.zeros((1, 8, 8, 3), np.uint8))])))

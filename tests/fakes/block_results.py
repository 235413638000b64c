"""What the stages of the blocks write, in plausible numbers, by the code that writes it."""

from pathlib import Path

import numpy as np
import pandas as pd

from difflab.core.base.files import write_csv, write_json
from difflab.sd3.blocks import ranking, tuning
from difflab.sd3.blocks.effects import WHOLE, Seen
from difflab.sd3.blocks.ways import WAYS
from difflab.sd3.training.flow_training import HELD_OUT_SIGMAS

IMPORTANCE = {"mean": [1.0, 3.0, 2.0], "bypass": [2.0, 3.0, 1.0], "text": [1.0, 2.0, 3.0], "patches": [1.0, 3.0, 2.0]}


def cells(importance=IMPORTANCE, images=40, noise=0.1, seed=0) -> dict[str, Seen]:
    """Cells whose loss rises by `importance[way][block]`, give or take."""
    drawn = np.random.default_rng(seed)
    whole = drawn.random((images, len(HELD_OUT_SIGMAS)))
    features, correct = drawn.normal(size=(images, 3)), {"digit": np.ones(images)}
    made = {WHOLE: Seen(whole, features, correct)}
    for way in WAYS:
        for block, effect in enumerate(importance[way]):
            errors = whole + effect + noise * drawn.normal(size=whole.shape)
            wrong = {"digit": (np.arange(images) % 4 > 0).astype(float)}
            made[f"{way}-{block}"] = Seen(errors, features + effect, wrong)
    return made


def distance(features: np.ndarray) -> float:
    return float(np.square(features.mean(0)).sum())


def tuned(plan: tuning.Plan, gains=(0.1, 0.3, 0.2), seeds=3, noise=0.001) -> pd.DataFrame:
    """A row for each set and seed; set n gains `gains[n]`, give or take."""
    drawn = np.random.default_rng(0)
    rows = [
        {"blocks": tuning.shown(blocks), "roles": plan.roles(blocks), "seed": seed, "trained_parameters": 1000,
         "gain": gain + noise * drawn.normal(), "fid": 10 - gain, "n": 100}
        for blocks, gain in zip(plan.sets, gains, strict=True) for seed in range(seeds)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def write_block_inputs(root: Path) -> None:
    made = cells()
    by_way = ranking.importances(made)
    found = {
        "effects": ranking.effects(made, distance),
        "ranks": ranking.ranking(by_way, 0),
        "agreement": ranking.agreement(by_way, 0),
    }
    facts = {"blocks": 3, "held_out_n": 40, "n": 40}
    write_json(root / "metrics/rank_blocks.json", facts | ranking.metrics(*found.values()))
    plan = tuning.planned(IMPORTANCE, 1, 3, seed=0)
    found["tuning"] = tuned(plan)
    facts = {"trained_parameters": 1000, "k": 1, "sets": 3, "trainings": 3}
    write_json(root / "metrics/tune_blocks.json", facts | tuning.metrics(plan, IMPORTANCE, found["tuning"]))
    for name, table in found.items():
        write_csv(root / f"plots/blocks/{name}.csv", table)

"""Made-up scores of captioners: synthetic data beside originals helps a little, in place of them it harms."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from difflab.captioning import answer
from difflab.core.base import rng
from difflab.core.base.files import png_bytes, write_bytes, write_csv, write_json
from difflab.report.summary import metrics_file

SEEDS = range(5)
SHARES = {"original": 0.0, "mixed": 0.75, "synthetic": 1.0}
MEANS = {"original": 0.5, "mixed": 0.6, "synthetic": 0.3, "zero_shot": 0.05, "instruct": 0.2}


def images(measures: Sequence[str], count: int = 40) -> pd.DataFrame:
    """Scores by data, seed and image; those without training have one seed."""
    rows = []
    for data, mean in MEANS.items():
        for seed in SEEDS if data in SHARES else (0,):
            noise = rng.numpy_rng(0, "scores", data, seed).normal(0, 0.05, (len(measures), count))
            values = np.clip(mean + noise, 0, 1)
            ids = [f"recipes-{i:03d}" for i in range(count)]
            rows.append(
                pd.DataFrame({"id": ids, **dict(zip(measures, values, strict=True)), "data": data, "seed": seed})
            )
    return pd.concat(rows, ignore_index=True)


def runs(scores: pd.DataFrame) -> pd.DataFrame:
    """The means of each run, with a corpus BLEU beside."""
    means = scores.drop(columns="id").groupby(["data", "seed"], sort=False).mean().reset_index()
    means.insert(1, "share", means["data"].map(SHARES))
    return means.assign(bleu_1_corpus=means["bleu_1"] + 0.01)


def write_caption_inputs(root: Path) -> None:
    """Metrics and pictures of every stage of the study of captioning, below `root`."""
    scores = images(["bleu_1", "bleu_2", "rouge_l", "meteor_exact_stem", "cider_d", "both_correct"])
    mix = {"train_original": 384, "train_synthetic": 1151, "val_original": 48, "val_synthetic": 48}
    mix |= {"test_original": 48, "leaks": 0, "leaks_reference_order": 191, "test_reference_order": 191}
    metrics = {
        "vary_titles": {"n": 480, "varied": 478, "quarantined": 2},
        "synthesize": {"n": 1434},
        "mix": mix,
        "caption_score": answer.summarise(scores, runs(scores), seed=0, resamples=20),
    }
    write_csv(root / "plots/captioner/scores.csv", runs(scores))
    for stage, values in metrics.items():
        write_json(root / metrics_file(stage), values)
    for path in ("plots/synthetic.png", "plots/sweep.png"):
        write_bytes(root / path, png_bytes(Image.new("RGB", (8, 8))))

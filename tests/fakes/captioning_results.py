"""Made-up scores of captioners: synthetic data beside originals helps a little, in place of them it harms."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from difflab.captioning import answer, by_originals
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


def summarise(scores: pd.DataFrame, resamples: int = 20) -> dict[str, float]:
    """The metrics of `caption_score`, without and with the curve."""
    found = answer.summarise(scores, runs(scores), margin=0.1)
    return found | by_originals.summarise(*sized(), seed=0, resamples=resamples)


SIZES = (24, 96, 384)
CURVE = {"original": (0.3, 0.4, 0.5), "mixed": (0.35, 0.4, 0.44)}


def sized(count: int = 40, noise: float = 0.02) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Images and runs by the number of originals: synthetic pictures help with few originals and harm with many."""
    images, made = [], []
    for data, means in CURVE.items():
        for size, mean in zip(SIZES, means, strict=True):
            for seed in SEEDS:
                values = mean + noise * rng.numpy_rng(0, "sized", data, size, seed).normal(0, 1, count)
                named = {"data": data, "originals": size, "seed": seed}
                images.append(pd.DataFrame({**named, "id": [f"r{i:03d}" for i in range(count)], "cider_d": values}))
                made.append({**named, "images": size * {"original": 1, "mixed": 4}[data]})
    return pd.concat(images, ignore_index=True), pd.DataFrame(made)


def write_caption_inputs(root: Path) -> None:
    """Metrics and pictures of every stage of the study of captioning, below `root`."""
    scores = images(["bleu_1", "bleu_2", "rouge_l", "meteor_exact_stem", "cider_d", "both_correct"])
    mix = {"train_original": 384, "train_synthetic": 1151, "val_original": 48, "val_synthetic": 48}
    mix |= {"test_original": 48, "leaks": 0, "leaks_reference_order": 191, "test_reference_order": 191}
    metrics = {
        "vary_titles": {"n": 480, "varied": 478, "quarantined": 2},
        "synthesize": {"n": 1434},
        "mix": mix,
        "caption_score": summarise(scores),
    }
    write_csv(root / "plots/captioner/scores.csv", runs(scores), gaps=["share"])
    scored, made = sized()
    means = scored.groupby(["data", "originals", "seed"])["cider_d"].mean().reset_index()
    write_csv(root / "plots/captioner/originals.csv", means.merge(made))
    for stage, values in metrics.items():
        write_json(root / metrics_file(stage), values)
    for path in ("plots/synthetic.png", "plots/sweep.png"):
        write_bytes(root / path, png_bytes(Image.new("RGB", (8, 8))))

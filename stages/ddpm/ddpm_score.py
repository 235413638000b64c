"""Score the images of every setting: nearness to the one image, or distance, class and floor of real ones."""

from pathlib import Path

import numpy as np
import pandas as pd

from difflab.core.base import runtime
from difflab.core.base.stage import Stage, run
from difflab.ddpm import classifier, series_scores
from difflab.ddpm.data import load_pixels, pixel_split
from difflab.ddpm.networks.settings import CONDITIONAL, DATASETS, SETTING_NAMES, SETTINGS, SINGLE
from difflab.ddpm.params import DdpmScoreInputs
from difflab.images.generated_reader import GeneratedImages
from difflab.images.store.image_store import ImageStore
from difflab.models.rulers import ruler


def main(stage: Stage[DdpmScoreInputs]) -> None:
    device = runtime.resolve_device(stage.params.runtime.device)
    metrics: dict[str, float | str] = {}
    for setting in SETTINGS:
        folder = Path("data/samples") / setting
        made = series_scores.by_seed(GeneratedImages(folder / "images.zip"))
        wanted = pd.read_parquet(folder / "wanted.parquet")["wanted"].tolist()
        _, channels, _, size = next(iter(made.values())).shape
        store = ImageStore(f"data/images/{DATASETS[setting]}")
        if setting in SINGLE:
            (target,) = load_pixels(store, wanted[:1], size, channels)
            near = np.concatenate([series_scores.nearness(images, target) for images in made.values()])
            scores = {"best_psnr": float(near.max()), "mean_psnr": float(near.mean()), "n": len(near)}
            line = f"best {scores['best_psnr']:.1f} dB to the image, mean {scores['mean_psnr']:.1f} dB"
        else:
            judge = "mnist" if DATASETS[setting] == "mnist" else "cifar10"
            network = classifier.load(Path("models/zoo/classifier") / judge).to(device)
            metrics[f"{setting}_ruler"] = ruler(Path("models/zoo/classifier") / judge)
            real = {split: pixel_split(store, split, size, channels) for split in ("train", "test")}
            conditional = setting in CONDITIONAL
            asked = [series_scores.class_of(one, network.classes) for one in wanted] if conditional else None
            scores = series_scores.score(network, made, real, asked, seed=stage.params.seed)
            line = f"FID {scores['fid']:.4g} (floor {scores['floor_fid']:.4g}), n {scores['n']}"
            if conditional:
                line += f", class right in {scores['accuracy']:.1%} (real {scores['real_accuracy']:.1%})"
        print(f"{SETTING_NAMES[setting]}: {line}")
        metrics |= {f"{setting}_{name}": value for name, value in scores.items()}
    stage.write_metrics("metrics/ddpm_score.json", metrics)
    stage.done(f"wrote metrics/ddpm_score.json, {len(SETTINGS)} settings")


if __name__ == "__main__":
    run(main)

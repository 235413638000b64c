"""Score the images of every rung: nearness to the one image, or distance, class and floor of real ones."""

from pathlib import Path

import numpy as np
import pandas as pd

from difflab import runtime
from difflab.diffusion.ladder import CONDITIONAL, DATASETS, RUNG_NAMES, RUNGS, SINGLE
from difflab.evaluation import ladder
from difflab.evaluation.generated import GeneratedImages
from difflab.stage import Stage, run
from difflab.store.images import ImageStore
from difflab.store.ladder import pixel_split
from difflab.zoo import resnet


def main(stage: Stage) -> None:
    device = runtime.resolve_device(stage.params.runtime.device)
    metrics: dict[str, float] = {}
    for rung in RUNGS:
        params = stage.params.ddpm[rung]
        folder = Path("data/samples") / rung
        made = ladder.by_seed(GeneratedImages(folder / "images.zip"))
        store = ImageStore(f"data/images/{DATASETS[rung]}")
        real = {split: pixel_split(store, split, params) for split in ("train", "test")}
        if rung in SINGLE:
            target = real["train"].pixels[params.image]
            near = np.concatenate([ladder.nearness(images, target) for images in made.values()])
            scores = {"best_psnr": float(near.max()), "mean_psnr": float(near.mean()), "n": len(near)}
            line = f"best {scores['best_psnr']:.1f} dB to the image, mean {scores['mean_psnr']:.1f} dB"
        else:
            judge = "mnist" if DATASETS[rung] == "mnist" else "cifar10"
            network = resnet.load(Path("models/zoo/classifier") / judge).to(device)
            wanted = None
            if rung in CONDITIONAL:
                asked = pd.read_parquet(folder / "wanted.parquet")["wanted"]
                wanted = [ladder.class_of(one, network.classes) for one in asked]
            scores = ladder.score(network, made, real, wanted, seed=stage.params.seed)
            line = f"FID {scores['fid']:.4g} (floor {scores['floor_fid']:.4g}), n {scores['n']}"
            if wanted:
                line += f", class right in {scores['accuracy']:.1%} (real {scores['real_accuracy']:.1%})"
        print(f"{RUNG_NAMES[rung]}: {line}")
        metrics |= {f"{rung}_{name}": value for name, value in scores.items()}
    stage.write_metrics("metrics/ddpm_score.json", metrics)
    stage.done(f"wrote metrics/ddpm_score.json, {len(RUNGS)} rungs")


if __name__ == "__main__":
    run(main)

"""Score every training of every setting: nearness to the one image, or distance and class beside those of real images."""

from collections import defaultdict
from pathlib import Path

import numpy as np
from torch import Tensor

from difflab.core.base import runtime
from difflab.core.base.files import read_parquet
from difflab.core.base.roles import ruler
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.ddpm import classifier, series_scores
from difflab.ddpm.common.data import load_pixels, pixel_split
from difflab.ddpm.common.settings import CONDITIONAL, DATASETS, SETTING_NAMES, SETTINGS, SINGLE
from difflab.ddpm.common.trainings import trainings
from difflab.ddpm.floors import RealImages
from difflab.ddpm.params import DdpmScoreInputs
from difflab.images.generated.reader import GeneratedImages
from difflab.metrics.uncertainty.intervals import with_intervals

Draws = dict[int, Tensor]
"""The images of one training by generation seed, uint8 [n, C, H, W]."""


def main(stage: Stage[DdpmScoreInputs]) -> None:
    metrics: dict[str, float | str] = {}
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for setting in SETTINGS:
        folder = Path("data/samples") / setting
        made = [series_scores.by_seed(GeneratedImages(f / "images.zip")) for f in trainings(folder).values()]
        wanted = read_parquet(folder / "wanted.parquet")["wanted"].tolist()
        facts = {"n": len(wanted), "draws": len(made[0]), "trainings": len(made)}
        own, scores = near(setting, made, wanted) if setting in SINGLE else distant(stage, setting, made, wanted)
        metrics |= {f"{setting}_{name}": value for name, value in (facts | own).items()}
        for row in scores:
            for measure, value in row.items():
                values[measure][setting].append(value)
    for measure, cells in values.items():
        found = with_intervals(cells, measure)
        # Settings of unlike distances share no spread in FID's unit, and extrapolated FIDs may fall below zero.
        metrics |= {f"{c}_{measure}": found[f"{c}_{measure}"] for c in cells} if measure == "fid_infinity" else found
    below = [setting for setting in SETTINGS if series_scores.below_floor(metrics, setting)]
    metrics |= {f"{s}_below_floor": int(s in below) for s in SETTINGS if f"{s}_floor_fid" in metrics}
    for setting in SETTINGS:
        print(f"{SETTING_NAMES[setting]}: {line(metrics, setting)}")
    stage.write_metrics("metrics/ddpm_score.json", metrics)
    odd = ", ".join(SETTING_NAMES[setting] for setting in below) or "none"
    stage.done(f"wrote metrics/ddpm_score.json; settings below their floor: {odd}")


def near(setting: str, made: list[Draws], wanted: list[str]) -> tuple[dict[str, float], list[dict[str, float]]]:
    """How near the images of each training are to the one image; the best of all is a fact, not a mean."""
    _, channels, _, size = made[0][min(made[0])].shape
    (target,) = load_pixels(ImageStore(f"data/images/{DATASETS[setting]}"), wanted[:1], size, channels)
    psnr = [np.concatenate([series_scores.nearness(i, target) for i in draws.values()]) for draws in made]
    best = max(float(own.max()) for own in psnr)
    return {"best_psnr": best}, [{"mean_psnr": float(own.mean())} for own in psnr]


def distant(
    stage: Stage[DdpmScoreInputs], setting: str, made: list[Draws], wanted: list[str]
) -> tuple[dict[str, float | str], list[dict[str, float]]]:
    """What real images score, and the scores of each training."""
    _, channels, _, size = made[0][min(made[0])].shape
    judge, seed = "mnist" if DATASETS[setting] == "mnist" else "cifar10", stage.params.seed
    device = runtime.resolve_device(stage.params.runtime.device)
    network = classifier.load(Path("models/zoo/classifier") / judge).to(device)
    store, conditional = ImageStore(f"data/images/{DATASETS[setting]}"), setting in CONDITIONAL
    asked = [series_scores.class_of(one, network.classes) for one in wanted] if conditional else None
    real: dict[str, RealImages] = {}
    facts: dict[str, float | str] = {"ruler": ruler(Path("models/zoo/classifier") / judge)}
    for split in ("train", "test"):
        images = pixel_split(store, split, size, channels)
        features, seen = series_scores.features_and_classes(network, images.pixels)
        real[split] = RealImages(features, images.labels if conditional else [""] * len(features))
        if conditional and split == "test":
            facts["real_accuracy"] = series_scores.accuracy(seen, images.labels)
    reference, found, refused = series_scores.real_scores(real, asked or [""] * len(wanted), seed=seed)
    if refused:
        print(f"{SETTING_NAMES[setting]}: {refused}")
    scores = [series_scores.training_scores(network, d.values(), reference, asked, seed=seed) for d in made]
    return facts | found, scores


def line(metrics: dict[str, float | str], setting: str) -> str:
    """The scores of one setting in words."""
    own = {name.removeprefix(f"{setting}_"): value for name, value in metrics.items() if name.startswith(setting)}
    if setting in SINGLE:
        return f"best {own['best_psnr']:.1f} dB to the image, mean {own['mean_psnr']:.1f} dB"
    text = f"FID {own['fid']:.4g}, {own['trainings']} trainings of {own['n']} images"
    if "floor_fid" in own:
        text += f", floor {own['floor_fid']:.4g}" + (", BELOW ITS FLOOR" if own["below_floor"] else "")
    if setting in CONDITIONAL:
        text += f", class right in {own['accuracy']:.1%} (real {own['real_accuracy']:.1%})"
    return text


if __name__ == "__main__":
    run(main)

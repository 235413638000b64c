"""Sample every training of one setting of the DDPM series, and show the first one's way from noise to image.

data/samples/<setting>/wanted.parquet         what is to appear: id, wanted
data/samples/<setting>/seed-<n>/images.zip    the images of one training, `seed-<generation seed>/<id>.png`
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from difflab.core.base import rng, runtime
from difflab.core.base.files import atomic_path, png_bytes, write_bytes, write_parquet
from difflab.core.base.stage import Stage, run
from difflab.ddpm.common.settings import SETTING_NAMES
from difflab.ddpm.common.trainings import trainings
from difflab.ddpm.params import DdpmSampleInputs
from difflab.ddpm.sampling.samplers import ignore
from difflab.ddpm.sampling.series_sampler import load_sampler
from difflab.images.generated.writer import grid, write_generated

SHOWN, FRAMES, ROWS = 40, 20, 2


def main(stage: Stage[DdpmSampleInputs], *, setting: str) -> None:
    settings, batch_size = stage.params.ddpm_sample[setting], stage.params.ddpm_sample.batch_size
    device, folder = runtime.resolve_device(stage.params.runtime.device), Path("data/samples") / setting
    models = trainings(Path("models/ddpm") / setting)
    ids = [f"{setting}-{n:05d}" for n in range(settings.num_images)]
    with atomic_path(folder) as temporary:
        for training, model in models.items():
            sampler = load_sampler(model, device)
            wanted, frames = sampler.wanted(len(ids)), []

            def keep(sigma: float, x: torch.Tensor, x0: torch.Tensor, sampler=sampler, frames=frames) -> None:
                frames.append(sampler.pixels(x0[:ROWS]))

            made: dict[int, np.ndarray] = {}
            for draw in settings.seeds:
                seed = rng.key(stage.params.seed, "ddpm sample", training, draw)  # no two trainings share noise
                on_step = ignore if made else keep
                made[draw] = sampler.images(ids, wanted, settings, seed=seed, batch_size=batch_size, on_step=on_step)
            write_generated(temporary / model.name / "images.zip", ids, made)
            if model == next(iter(models.values())):
                show(setting, made[settings.seeds[0]], frames)
        write_parquet(temporary / "wanted.parquet", pd.DataFrame({"id": ids, "wanted": wanted}))
    count = len(ids) * len(settings.seeds)
    stage.done(f"wrote {folder}, {SETTING_NAMES[setting]}, trainings: {len(models)}, {count:,} images each")


def show(setting: str, images: np.ndarray, frames: list[np.ndarray]) -> None:
    """Write the contact sheet of the first training, and the way of its first images."""
    columns = [*spread(frames, FRAMES), images[:ROWS]]
    rows = [column[row] for row in range(len(images[:ROWS])) for column in columns]
    folder = Path("plots/ddpm_sample") / setting
    write_bytes(folder / "samples.png", png_bytes(grid(list(images[:SHOWN]), ncols=10)))
    write_bytes(folder / "process.png", png_bytes(grid(rows, ncols=len(columns))))


def spread(frames: list[np.ndarray], count: int) -> list[np.ndarray]:
    """`count` of them at even distances, or all where they are fewer."""
    chosen = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    return [frames[n] for n in np.unique(chosen)]


if __name__ == "__main__":
    run(main)

"""Sample one setting of the DDPM series, with the sampling trajectory as a strip of frames."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from difflab.core.base import runtime
from difflab.core.base.files import atomic_path, png_bytes, write_bytes, write_parquet
from difflab.core.base.stage import Stage, run
from difflab.ddpm.networks.settings import SETTING_NAMES
from difflab.ddpm.params import DdpmSampleInputs
from difflab.ddpm.sampling.samplers import ignore
from difflab.ddpm.sampling.series_sampler import load_sampler
from difflab.images.generated_writer import grid, write_generated

SHOWN, FRAMES, ROWS = 40, 20, 2


def main(stage: Stage[DdpmSampleInputs], *, setting: str) -> None:
    settings, batch_size = stage.params.ddpm_sample[setting], stage.params.ddpm_sample.batch_size
    sampler = load_sampler(Path("models/ddpm") / setting, runtime.resolve_device(stage.params.runtime.device))
    ids = [f"{setting}-{n:05d}" for n in range(settings.num_images)]
    wanted = sampler.wanted(len(ids))
    frames: list[np.ndarray] = []

    def keep(sigma: float, x: torch.Tensor, x0: torch.Tensor) -> None:
        frames.append(sampler.pixels(x0[:ROWS]))

    made: dict[int, np.ndarray] = {}
    for number, seed in enumerate(settings.seeds):
        made[seed] = sampler.images(
            ids, wanted, settings, seed=stage.params.seed + seed, batch_size=batch_size,
            on_step=ignore if number else keep,
        )  # fmt: skip
    folder = Path("data/samples") / setting
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        write_generated(temporary / "images.zip", ids, made)
        write_parquet(temporary / "wanted.parquet", pd.DataFrame({"id": ids, "wanted": wanted}))
    first = made[settings.seeds[0]]
    columns = [*spread(frames, FRAMES), first[:ROWS]]
    rows = [column[row] for row in range(len(first[:ROWS])) for column in columns]
    write_bytes(f"plots/ddpm/{setting}.png", png_bytes(grid(list(first[:SHOWN]), ncols=10)))
    write_bytes(f"plots/ddpm/{setting}-process.png", png_bytes(grid(rows, ncols=len(columns))))
    stage.done(f"wrote {folder}, {len(ids) * len(made):,} images, {SETTING_NAMES[setting]}")


def spread(frames: list[np.ndarray], count: int) -> list[np.ndarray]:
    """`count` of them at even distances, or all where they are fewer."""
    chosen = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    return [frames[n] for n in np.unique(chosen)]


if __name__ == "__main__":
    run(main)

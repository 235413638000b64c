"""Sample one setting of the DDPM series, with the sampling trajectory as a strip of frames."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from difflab.core.base import runtime
from difflab.core.base.files import atomic_path, png_bytes, write_bytes, write_parquet
from difflab.core.stage import Stage, run
from difflab.ddpm.params import DdpmSampleInputs
from difflab.ddpm.sampling.series_sampler import load_sampler
from difflab.ddpm.settings import SETTING_NAMES
from difflab.images.generated_writer import write_generated
from difflab.images.grid import grid

SHOWN, FRAMES, ROWS = 40, 20, 2


def main(stage: Stage[DdpmSampleInputs], *, setting: str) -> None:
    settings, batch_size = stage.params.ddpm_sample[setting], stage.params.ddpm_sample.batch_size
    sampler = load_sampler(Path("models/ddpm") / setting, runtime.resolve_device(stage.params.runtime.device))
    ids = [f"{setting}-{n:05d}" for n in range(settings.num_images)]
    wanted = sampler.wanted(len(ids))
    steps: list[tuple[float, torch.Tensor]] = []

    def keep(sigma: float, x: torch.Tensor, x0: torch.Tensor) -> None:
        steps.append((sigma, x0[:ROWS].float().cpu()))

    made = {
        seed: sampler.images(ids, wanted, settings, seed=stage.params.seed + seed, batch_size=batch_size, on_step=keep)
        for seed in settings.seeds
    }
    folder = Path("data/samples") / setting
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        write_generated(temporary / "images.zip", ids, made)
        write_parquet(temporary / "wanted.parquet", pd.DataFrame({"id": ids, "wanted": wanted}))
    first = made[settings.seeds[0]]
    frames = [sampler.pixels(x0) for x0 in spread(first_batch(steps), FRAMES)] + [first[:ROWS]]
    rows = [frame[row] for row in range(len(frames[0])) for frame in frames]
    write_bytes(f"plots/ddpm/{setting}.png", png_bytes(grid(list(first[:SHOWN]), ncols=10)))
    write_bytes(f"plots/ddpm/{setting}-process.png", png_bytes(grid(rows, ncols=len(frames))))
    stage.done(f"wrote {folder}, {len(ids) * len(made):,} images, {SETTING_NAMES[setting]}")


def first_batch(steps: list[tuple[float, torch.Tensor]]) -> list[torch.Tensor]:
    """The estimates of the first batch: the next one begins where sigma is the first again."""
    start = steps[0][0]
    again = (n for n, (sigma, _) in enumerate(steps) if n and sigma >= start)
    return [x0 for _, x0 in steps[: next(again, None)]]


def spread(estimates: list[torch.Tensor], count: int) -> list[torch.Tensor]:
    """`count` of them at even distances, or all where they are fewer."""
    chosen = np.linspace(0, len(estimates) - 1, min(count, len(estimates))).round().astype(int)
    return [estimates[n] for n in np.unique(chosen)]


if __name__ == "__main__":
    run(main)

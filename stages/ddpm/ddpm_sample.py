"""Sample one setting of the DDPM series, with the way from noise to image as a strip."""

from pathlib import Path

import numpy as np
import pandas as pd

from difflab.core.base import runtime
from difflab.core.base.files import atomic_path, write_parquet
from difflab.core.stage import Stage, run
from difflab.ddpm.params.inputs import DdpmSampleInputs
from difflab.ddpm.sampling.series_sampler import load_sampler
from difflab.ddpm.sampling.strip import Strip
from difflab.ddpm.settings import SETTING_NAMES
from difflab.images.generated_writer import write_generated
from difflab.images.grid import grid

SHOWN, FRAMES = 40, 20


def main(stage: Stage[DdpmSampleInputs], *, setting: str) -> None:
    settings = stage.params.ddpm_sample[setting]
    device = runtime.resolve_device(stage.params.runtime.device)
    sampler = load_sampler(Path("models/ddpm") / setting, device)
    ids = [f"{setting}-{n:05d}" for n in range(settings.num_images)]
    wanted = sampler.wanted(len(ids))
    strip = Strip()
    made: dict[int, np.ndarray] = {}
    for seed in settings.seeds:
        made[seed] = sampler.images(
            ids,
            wanted,
            settings,
            seed=stage.params.seed + seed,
            batch_size=stage.params.ddpm_sample.batch_size,
            on_step=strip.add,
        )

    folder = Path("data/samples") / setting
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        write_generated(temporary / "images.zip", ids, made)
        write_parquet(temporary / "wanted.parquet", pd.DataFrame({"id": ids, "wanted": wanted}))
    first = made[settings.seeds[0]]
    tiles, columns = strip.tiles(FRAMES, sampler.pixels, first)
    for name, picture in (
        (f"plots/ddpm/{setting}.png", grid(list(first[:SHOWN]), ncols=10)),
        (f"plots/ddpm/{setting}-process.png", grid(tiles, ncols=columns)),
    ):
        with atomic_path(name) as temporary:
            picture.save(temporary)
    stage.done(f"wrote {folder}, {len(ids) * len(made):,} images, {SETTING_NAMES[setting]}")


if __name__ == "__main__":
    run(main)

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
from difflab.core.base.sharding import process_chunks
from difflab.core.base.stage import Stage, run
from difflab.ddpm.common.settings import SETTING_NAMES
from difflab.ddpm.common.trainings import trainings
from difflab.ddpm.params import DdpmSampleInputs
from difflab.ddpm.sampling.samplers import ignore
from difflab.ddpm.sampling.series_sampler import load_sampler
from difflab.images.generated.writer import grid, write_generated

SHOWN, FRAMES, ROWS = 40, 20, 2
BATCHES_PER_CHUNK = 4  # what a killed run loses at most, per process


def main(stage: Stage[DdpmSampleInputs], *, setting: str) -> None:
    settings, batch_size = stage.params.ddpm_sample[setting], stage.params.ddpm_sample.batch_size
    device, folder = runtime.resolve_device(stage.params.runtime.device), Path("data/samples") / setting
    models, scratch = trainings(Path("models/ddpm") / setting), stage.scratch()
    ids = [f"{setting}-{n:05d}" for n in range(settings.num_images)]
    parts: dict[str, dict[int, list[Path] | None]] = {model.name: {} for model in models.values()}
    wanted: dict[str, str] = {}
    for training, model in models.items():
        sampler = load_sampler(model, device)
        wanted = dict(zip(ids, sampler.wanted(len(ids)), strict=True))
        for draw in settings.seeds:
            seed = rng.key(stage.params.seed, "ddpm sample", training, draw)  # no two trainings share noise
            shown = ids[0] if not any(parts.values()) else None

            def sample(chunk: list[str], path: Path, sampler=sampler, wanted=wanted, seed=seed, shown=shown) -> None:
                frames: list[np.ndarray] = []

                def keep(sigma: float, x: torch.Tensor, x0: torch.Tensor) -> None:
                    frames.append(sampler.pixels(x0[:ROWS]))

                asked, on_step = [wanted[id] for id in chunk], keep if chunk[0] == shown else ignore
                images = sampler.images(chunk, asked, settings, seed=seed, batch_size=batch_size, on_step=on_step)
                np.savez(path, images=images, frames=np.stack(frames) if frames else images[:0])

            what, size = f"training {training} draw {draw}", batch_size * BATCHES_PER_CHUNK
            parts[model.name][draw] = process_chunks(ids, size, scratch, sample, what=what, suffix=".npz")
    if runtime.process_index()[0] > 0:  # the main process writes
        return
    with atomic_path(folder) as temporary:
        for name, by_draw in parts.items():
            made = {draw: _images(paths or []) for draw, paths in by_draw.items()}
            write_generated(temporary / name / "images.zip", ids, made)
            if name == next(iter(parts)):
                first = settings.seeds[0]
                with np.load((by_draw[first] or [])[0]) as chunk:
                    show(setting, made[first], list(chunk["frames"]))
        write_parquet(temporary / "wanted.parquet", pd.DataFrame({"id": ids, "wanted": list(wanted.values())}))
    count = len(ids) * len(settings.seeds)
    stage.done(f"wrote {folder}, {SETTING_NAMES[setting]}, trainings: {len(models)}, {count:,} images each")


def _images(paths: list[Path]) -> np.ndarray:
    """The images of all chunks, uint8 [n, H, W, 3]."""
    parts = []
    for path in paths:
        with np.load(path) as chunk:
            parts.append(chunk["images"])
    return np.concatenate(parts)


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
    run(main, split=True)

"""Do samples copy training images? The nearest neighbour of each, beside the nearest image never trained on.

Samples of all trainings count alike, of the first generation seed each.
"""

from pathlib import Path

import numpy as np
import torch

from difflab.core.base import rng
from difflab.core.base.files import png_bytes, read_parquet, write_bytes
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.ddpm.common.data import load_pixels
from difflab.ddpm.common.settings import DATASETS, SETTING_NAMES, SINGLE
from difflab.ddpm.common.trainings import trainings
from difflab.ddpm.memorisation import memory, memory_metrics
from difflab.ddpm.params import MemorisationInputs
from difflab.images.generated.reader import GeneratedImages
from difflab.images.sheet import rows_sheet


def main(stage: Stage[MemorisationInputs]) -> None:
    params, metrics = stage.params.memorisation, {}
    rows: list[tuple[str, list[np.ndarray]]] = []
    for setting in params.settings:
        folder = Path("data/samples") / setting
        archives = [GeneratedImages(training / "images.zip") for training in trainings(folder).values()]
        images = np.stack([np.asarray(image) for made in archives for image in made.read(made.seeds[0])])
        store = ImageStore(f"data/images/{DATASETS[setting]}")
        ids, held_out = store.split("train"), store.split("test")
        if setting in SINGLE:
            ids = read_parquet(folder / "wanted.parquet")["wanted"].tolist()[:1]
        n = min(len(ids), len(held_out))
        chosen = (drawn(some, n, stage.params.seed) for some in (ids, held_out))
        train, unseen = (load_pixels(store, some, images.shape[1]) for some in chosen)
        nearest, ratio = memory(torch.from_numpy(images).permute(0, 3, 1, 2), train, unseen)
        metrics |= {f"{setting}_{name}": value for name, value in memory_metrics(ratio).items()}
        metrics |= {f"{setting}_n": len(images), f"{setting}_trainings": len(archives), f"{setting}_compared_with": n}
        pairs: list[np.ndarray] = []
        for row in np.argsort(ratio)[: params.pairs]:
            pairs += images[row], train[nearest[row]].permute(1, 2, 0).numpy()
        rows.append((SETTING_NAMES[setting], pairs))
    titles = ["sample", "training"] * params.pairs
    write_bytes("plots/memorisation.png", png_bytes(rows_sheet(rows, titles=titles)))
    stage.write_metrics("metrics/memorisation.json", metrics)
    shares = ", ".join(f"{setting} {metrics[f'{setting}_memorised_share']:.0%}" for setting in params.settings)
    stage.done(f"wrote metrics/memorisation.json; memorised samples: {shares}")


def drawn(ids: list[str], n: int, seed: int) -> list[str]:
    """`n` of the ids, so that training and held-out images are equally many."""
    return sorted(rng.numpy_rng(seed, "memorisation").choice(ids, n, replace=False).tolist())


if __name__ == "__main__":
    run(main)

"""Train one rung of the ladder: a diffusion model of one image, of one kind, by class, in latents, by prompt."""

import shutil
from pathlib import Path

import pandas as pd

from difflab import rng
from difflab.diffusion import rungs, schedule
from difflab.diffusion.corruption import GaussianNoise
from difflab.diffusion.denoiser import Denoiser
from difflab.diffusion.ladder import DATASETS, SINGLE
from difflab.diffusion.networks import save_denoiser
from difflab.diffusion.weighting import weight
from difflab.files import atomic_path, write_csv
from difflab.stage import Stage, run
from difflab.store.images import ImageStore
from difflab.store.ladder import Split, copies, latent_split, pixel_split
from difflab.training.denoising import ImageSet, train_denoiser
from difflab.training.held_out import held_out_errors

VAE, HELD_OUT = Path("models/zoo/image_vae"), 128


def main(stage: Stage, *, rung: str) -> None:
    params = stage.params.ddpm[rung]
    scratch = stage.scratch()
    train, test = load_data(rung, params)
    classes = sorted(set(train.labels))
    network = rungs.build_network(
        rung,
        params,
        size=train.pixels.shape[-1],
        channels=train.pixels.shape[1],
        classes=classes,
        seed=stage.params.seed,
    )
    denoiser = Denoiser(
        network, schedule.make(params.schedule), params.objective.prediction, params.unet.patch_size
    )

    def image_set(split: Split, count: int | None = None) -> ImageSet:
        conditions = rungs.conditions(rung, network, split.labels[:count], classes)
        return ImageSet(split.ids[:count], split.pixels[:count], conditions)

    unseen = image_set(test, HELD_OUT)
    rows = train_denoiser(
        denoiser,
        image_set(train),
        GaussianNoise(denoiser.schedule, params.objective),
        lambda sigma: weight(sigma, params.objective),
        params.training,
        seed=rng.key(stage.params.seed, "ddpm", rung),
        runtime=stage.params.runtime,
        scratch=scratch,
        what=rung.replace("_", " "),
        validate=lambda: held_out_errors(denoiser, unseen),
        log=lambda step, values: stage.run.log_metrics(values, step=step),
    )

    folder = Path("models/ddpm") / rung
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        save_denoiser(
            temporary, denoiser, params.schedule, shape=list(train.pixels.shape[1:]), classes=classes
        )
        if rung == "latent":  # the folder is then all that sampling needs
            shutil.copytree(VAE / "vae", temporary / "vae")
    write_csv(f"plots/ddpm/{rung}.csv", pd.DataFrame(rows))
    last = {name: value for name, value in rows[-1].items() if name != "lr"}
    last |= {"train_images": len(train.ids), "parameters": sum(p.numel() for p in denoiser.parameters())}
    stage.write_metrics(f"metrics/ddpm/{rung}.json", last)
    stage.done(f"wrote {folder}, held-out loss {rows[0]['val_loss']:.4f} -> {last['val_loss']:.4f}")


def load_data(rung: str, params) -> tuple[Split, Split]:
    """What the rung trains on, and what its held-out loss is measured on."""
    if rung == "latent":
        return latent_split(VAE, "train"), latent_split(VAE, "test")
    store = ImageStore(f"data/images/{DATASETS[rung]}")
    train = pixel_split(store, "train", params)
    if rung in SINGLE:
        only = copies(train, params.image, params.training.batch_size, f"ddpm.{rung}.image")
        return only, only
    return train, pixel_split(store, "test", params)


if __name__ == "__main__":
    run(main)

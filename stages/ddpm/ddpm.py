"""Train one setting of the DDPM series: a diffusion model of one image, of one kind, by class, in latents, by prompt."""

import shutil
from functools import partial
from pathlib import Path

import pandas as pd

from difflab.core.base import rng
from difflab.core.base.files import atomic_path, write_csv
from difflab.core.base.stage import Stage, run
from difflab.ddpm.data import Split, copies, latent_split, pixel_split
from difflab.ddpm.networks import schedule
from difflab.ddpm.networks.conditions import conditions_for
from difflab.ddpm.networks.denoiser import Denoiser
from difflab.ddpm.networks.networks import build_network, save_denoiser
from difflab.ddpm.networks.settings import BY_CLASS, DATASETS, SINGLE
from difflab.ddpm.params import DdpmInputs
from difflab.ddpm.training.denoiser_training import TrainingImages, held_out_errors, train_denoiser
from difflab.ddpm.training.objective import GaussianNoise, weight
from difflab.images.store.image_store import ImageStore
from difflab.training.curve import final_metrics

VAE, HELD_OUT = Path("models/zoo/image_vae"), 128


def main(stage: Stage[DdpmInputs], *, setting: str) -> None:
    params, seed, scratch = stage.params.ddpm[setting], stage.params.seed, stage.scratch()
    facts: dict[str, object] = {}
    if setting == "latent":
        train, test = (latent_split(VAE, split) for split in ("train", "test"))
    else:
        store = ImageStore(f"data/images/{DATASETS[setting]}")
        train, test = (pixel_split(store, s, params.image_size, params.channels) for s in ("train", "test"))
    if setting in SINGLE:
        only = copies(train, params.image, params.training.batch_size, f"ddpm.{setting}.image")
        facts["image"], train, test = train.ids[params.image], only, only
    classes, shape = sorted(set(train.labels)), list(train.pixels.shape[1:])
    known = classes if setting in BY_CLASS else []
    network = build_network(params, size=shape[1], channels=shape[0], classes=known, seed=seed)
    denoiser = Denoiser(network, schedule.make(params.schedule), params.objective.prediction, params.unet.patch_size)

    def image_set(split: Split, count: int | None = None) -> TrainingImages:
        conditions = conditions_for(network, split.labels[:count], known)
        return TrainingImages(split.ids[:count], split.pixels[:count], conditions)

    unseen = image_set(test, HELD_OUT)
    rows = train_denoiser(
        denoiser, image_set(train), GaussianNoise(denoiser.schedule, params.objective),
        partial(weight, params=params.objective), params.training, seed=rng.key(seed, "ddpm", setting),
        runtime=stage.params.runtime, scratch=scratch, what=setting.replace("_", " "),
        validate=lambda step: held_out_errors(denoiser, unseen), log=stage.run.log_metrics,
    )  # fmt: skip

    folder = Path("models/ddpm") / setting
    with atomic_path(folder) as temporary:
        save_denoiser(temporary, denoiser, params.schedule, shape=shape, classes=classes, **facts)
        if setting == "latent":  # the folder is then all that sampling needs
            shutil.copytree(VAE / "vae", temporary / "vae")
    write_csv(f"plots/ddpm/{setting}.csv", pd.DataFrame(rows))
    last = final_metrics(rows)
    last |= {"train_images": len(train.ids), "parameters": sum(p.numel() for p in denoiser.parameters())}
    stage.write_metrics(f"metrics/ddpm/{setting}.json", last)
    stage.done(f"wrote {folder}, held-out loss {rows[0]['val_loss']:.4f} -> {last['val_loss']:.4f}")


if __name__ == "__main__":
    run(main)

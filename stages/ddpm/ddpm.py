"""Train one setting of the DDPM series: a diffusion model of one image, of one kind, by class, in latents, by prompt."""

import shutil
from pathlib import Path

import pandas as pd

from difflab.core.base import rng
from difflab.core.base.files import atomic_path, write_csv
from difflab.core.stage import Stage, run
from difflab.ddpm import setting_networks
from difflab.ddpm.data.series_data import Split, copies, latent_split, pixel_split
from difflab.ddpm.networks import schedule
from difflab.ddpm.networks.denoiser import Denoiser
from difflab.ddpm.networks.networks import save_denoiser
from difflab.ddpm.params.inputs import DdpmInputs
from difflab.ddpm.settings import DATASETS, SINGLE
from difflab.ddpm.training.corruption import GaussianNoise
from difflab.ddpm.training.denoiser_training import train_denoiser
from difflab.ddpm.training.held_out import held_out_errors
from difflab.ddpm.training.training_images import TrainingImages
from difflab.ddpm.training.weighting import weight
from difflab.images.store.image_store import ImageStore
from difflab.training.curve import final_metrics

VAE, HELD_OUT = Path("models/zoo/image_vae"), 128


def main(stage: Stage[DdpmInputs], *, setting: str) -> None:
    params = stage.params.ddpm[setting]
    scratch = stage.scratch()
    train, test = load_data(setting, params)
    classes = sorted(set(train.labels))
    network = setting_networks.build_network(
        setting,
        params,
        size=train.pixels.shape[-1],
        channels=train.pixels.shape[1],
        classes=classes,
        seed=stage.params.seed,
    )
    denoiser = Denoiser(network, schedule.make(params.schedule), params.objective.prediction, params.unet.patch_size)

    def image_set(split: Split, count: int | None = None) -> TrainingImages:
        conditions = setting_networks.conditions(setting, network, split.labels[:count], classes)
        return TrainingImages(split.ids[:count], split.pixels[:count], conditions)

    unseen = image_set(test, HELD_OUT)
    rows = train_denoiser(
        denoiser,
        image_set(train),
        GaussianNoise(denoiser.schedule, params.objective),
        lambda sigma: weight(sigma, params.objective),
        params.training,
        seed=rng.key(stage.params.seed, "ddpm", setting),
        runtime=stage.params.runtime,
        scratch=scratch,
        what=setting.replace("_", " "),
        validate=lambda step: held_out_errors(denoiser, unseen),
        log=stage.run.log_metrics,
    )

    folder = Path("models/ddpm") / setting
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        save_denoiser(temporary, denoiser, params.schedule, shape=list(train.pixels.shape[1:]), classes=classes)
        if setting == "latent":  # the folder is then all that sampling needs
            shutil.copytree(VAE / "vae", temporary / "vae")
    write_csv(f"plots/ddpm/{setting}.csv", pd.DataFrame(rows))
    last = final_metrics(rows)
    last |= {"train_images": len(train.ids), "parameters": sum(p.numel() for p in denoiser.parameters())}
    stage.write_metrics(f"metrics/ddpm/{setting}.json", last)
    stage.done(f"wrote {folder}, held-out loss {rows[0]['val_loss']:.4f} -> {last['val_loss']:.4f}")


def load_data(setting: str, params) -> tuple[Split, Split]:
    """What the setting trains on, and what its held-out loss is measured on."""
    if setting == "latent":
        return latent_split(VAE, "train"), latent_split(VAE, "test")
    store = ImageStore(f"data/images/{DATASETS[setting]}")
    train = pixel_split(store, "train", params)
    if setting in SINGLE:
        only = copies(train, params.image, params.training.batch_size, f"ddpm.{setting}.image")
        return only, only
    return train, pixel_split(store, "test", params)


if __name__ == "__main__":
    run(main)

"""Train one setting of the DDPM series, once for each seed: one image, one kind, by class, in latents, by prompt.

A finished seed is kept: a longer list of seeds, or a run that was stopped, trains only those that are missing.
"""

import shutil
from functools import partial
from pathlib import Path

from difflab.core.base import rng
from difflab.core.base.runtime import process_index
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.ddpm.common import schedule
from difflab.ddpm.common.conditions import conditions_for
from difflab.ddpm.common.data import Split, copies, latent_split, pixel_split
from difflab.ddpm.common.denoiser import Denoiser
from difflab.ddpm.common.networks import build_network
from difflab.ddpm.common.settings import BY_CLASS, DATASETS, SINGLE
from difflab.ddpm.params import DdpmInputs
from difflab.ddpm.training.denoiser_training import TrainingImages, held_out_errors, train_denoiser
from difflab.ddpm.training.objective import GaussianNoise, weight
from difflab.ddpm.training.outputs import join_trainings, save_training
from difflab.training.seeds import Save, seed_log, train_seeds

VAE, HELD_OUT = Path("models/zoo/image_vae"), 64


def main(stage: Stage[DdpmInputs], *, setting: str) -> None:
    params, scratch, what = stage.params.ddpm[setting], stage.scratch(), setting.replace("_", " ")
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

    def train_one(seed: int) -> Save:
        """Train the network of one seed: its first weights, the order of its images and all their noise are its own."""
        own_seed = rng.key(stage.params.seed, "ddpm", setting, seed)
        network = build_network(params, size=shape[1], channels=shape[0], classes=known, seed=own_seed)
        denoiser = Denoiser(
            network, schedule.make(params.schedule), params.objective.prediction, params.unet.patch_size
        )

        def image_set(split: Split, count: int | None = None) -> TrainingImages:
            conditions = conditions_for(network, split.labels[:count], known)
            return TrainingImages(split.ids[:count], split.pixels[:count], conditions)

        unseen = image_set(test, HELD_OUT)
        rows = train_denoiser(
            denoiser, image_set(train), GaussianNoise(denoiser.schedule, params.objective),
            partial(weight, params=params.objective), params.training, seed=own_seed, runtime=stage.params.runtime,
            scratch=scratch, what=f"{what} {seed}", validate=lambda step: held_out_errors(denoiser, unseen),
            log=seed_log(stage.run.log_metrics, seed),
        )  # fmt: skip

        def save(folder: Path) -> None:
            save_training(folder, denoiser, rows, params.schedule, shape=shape, classes=classes, **facts)
            if setting == "latent":  # the folder is then all that sampling needs
                shutil.copytree(VAE / "vae", folder / "model" / "vae")

        return save

    kept, log = stage.kept(f"ddpm.{setting}.seeds"), stage.run.log_metrics
    folders = train_seeds(params.seeds, train_one, kept=kept, scratch=scratch, what=what, log=log)
    if process_index()[0] > 0:  # the main process writes
        return
    models = Path("models/ddpm") / setting
    curves, last = join_trainings(folders, models, f"plots/ddpm/{setting}.csv")
    counts = {"train_images": len(train.ids), "trainings": len(folders)}
    stage.write_metrics(f"metrics/ddpm/{setting}.json", counts | last)
    start = curves[curves["step"] == 0]["val_loss"].mean()
    stage.done(f"wrote {models}, trainings: {len(folders)}, held-out loss {start:.4f} -> {last['val_loss']:.4f}")


if __name__ == "__main__":
    run(main, split=True)

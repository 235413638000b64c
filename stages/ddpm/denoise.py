"""Train one denoiser, once for each seed: v0, v1 on one strength of noise (v0 stops early), v2 on all, as diffusion.

A finished seed is kept: a longer list of seeds, or a run that was stopped, trains only those that are missing.
"""

from functools import partial
from pathlib import Path

import torch

from difflab.core.base import rng
from difflab.core.base.runtime import process_index
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.core.base.store.tensors import to_float
from difflab.ddpm.common import schedule
from difflab.ddpm.common.data import load_pixels
from difflab.ddpm.common.denoiser import Denoiser
from difflab.ddpm.common.networks import build_unet
from difflab.ddpm.params import DenoiseInputs
from difflab.ddpm.training.denoiser_training import TrainingImages, train_denoiser
from difflab.ddpm.training.objective import GaussianNoise, fixed_noise, weight
from difflab.ddpm.training.outputs import join_trainings, save_training
from difflab.metrics.uncertainty.restoration import psnr
from difflab.training.seeds import Save, seed_log, train_seeds


def main(stage: Stage[DenoiseInputs], *, version: str) -> None:
    params, scratch = stage.params.denoise, stage.scratch()
    store = ImageStore("data/images/cifar10")
    ids, held_out = store.split("train"), store.split("test")[: params.validation_images]
    images = TrainingImages(ids, load_pixels(store, ids, params.image_size))
    table, sigma = schedule.make(params.schedule), 2 * params.sigma  # of images in [-1, 1]
    table.require(sigma)
    fixed = partial(fixed_noise, sigma=sigma, clipped=params.clipped)
    settings = params.training.model_copy(update={"steps": params.v0_steps} if version == "v0" else {})
    clean = to_float(load_pixels(store, held_out, params.image_size))
    noisy = fixed(clean, rng.fold(rng.id_keys(held_out), rng.key(stage.params.seed, "denoise validation")))

    def train_one(seed: int) -> Save:
        """Train the network of one seed: its first weights, the order of its images and all their noise are its own."""
        own_seed = rng.key(stage.params.seed, "denoise", version, seed)
        network = build_unet(params.unet, size=params.image_size, channels=3, seed=own_seed)
        if version == "v2":
            corruption, weigh = GaussianNoise(table, params.objective), partial(weight, params=params.objective)
            denoiser = Denoiser(network, table, params.objective.prediction, params.unet.patch_size)
        else:
            corruption, weigh = fixed, torch.ones_like
            denoiser = Denoiser(network, table, "epsilon", params.unet.patch_size)
        rows = train_denoiser(
            denoiser, images, corruption, weigh, settings, seed=own_seed, runtime=stage.params.runtime,
            scratch=scratch, what=f"denoise {version} {seed}", log=seed_log(stage.run.log_metrics, seed),
            validate=lambda step: {"val_psnr": validation_psnr(denoiser, clean, *noisy)},
        )  # fmt: skip

        return lambda folder: save_training(folder, denoiser, rows, params.schedule)

    what, kept = f"denoise {version}", stage.kept("denoise.seeds")
    folders = train_seeds(params.seeds, train_one, kept=kept, scratch=scratch, what=what, log=stage.run.log_metrics)
    if process_index()[0] > 0:  # the main process writes
        return
    models = Path("models/denoise") / version
    _, last = join_trainings(folders, models, f"plots/denoise/{version}.csv")
    counts = {"train_images": len(ids), "trainings": len(folders)}
    stage.write_metrics(f"metrics/denoise/{version}.json", counts | last)
    stage.done(f"wrote {models}, trainings: {len(folders)}, {last['val_psnr']:.2f} dB on {len(held_out)} test images")


@torch.no_grad()
def validation_psnr(denoiser: Denoiser, clean: torch.Tensor, noisy: torch.Tensor, sigma: torch.Tensor) -> float:
    """Mean PSNR in dB of test images [n, C, H, W] in [-1, 1], clipped to that range."""
    device = next(denoiser.parameters()).device
    batches = zip(noisy.split(256), sigma.split(256), strict=True)
    restored = torch.cat([denoiser(x.to(device), s.to(device)).clamp(-1, 1).cpu() for x, s in batches])
    return psnr(clean, restored, data_range=2).mean().item()


if __name__ == "__main__":
    run(main, split=True)

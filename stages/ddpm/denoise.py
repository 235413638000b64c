"""Train one denoiser: v0 and v1 on one strength of noise (v0 stops early), v2 on all strengths, as diffusion."""

from pathlib import Path

import pandas as pd
import torch

from difflab.core.base import rng
from difflab.core.base.files import atomic_path, write_csv
from difflab.core.stage import Stage, run
from difflab.ddpm.data.pixels import load_pixels
from difflab.ddpm.networks import schedule
from difflab.ddpm.networks.denoiser import Denoiser
from difflab.ddpm.networks.networks import build_unet, save_denoiser
from difflab.ddpm.params.inputs import DenoiseInputs
from difflab.ddpm.training.corruption import Corruption, FixedNoise, GaussianNoise
from difflab.ddpm.training.denoiser_training import train_denoiser
from difflab.ddpm.training.training_images import TrainingImages
from difflab.ddpm.training.weighting import weight
from difflab.images.store.image_store import ImageStore
from difflab.images.store.tensors import to_float
from difflab.metrics.restoration import psnr
from difflab.training.curve import final_metrics


def main(stage: Stage[DenoiseInputs], *, version: str) -> None:
    params = stage.params.denoise
    scratch = stage.scratch()
    store = ImageStore("data/images/cifar10")
    ids = store.split("train")
    pixels = load_pixels(store, ids, params.image_size, channels=3)
    table = schedule.make(params.schedule)
    sigma = 2 * params.sigma  # of images in [-1, 1]
    table.require(sigma)
    network = build_unet(params.unet, size=params.image_size, channels=3, seed=stage.params.seed)
    denoiser = Denoiser(network, table, "epsilon", params.unet.patch_size)
    corruption: Corruption = FixedNoise(sigma, params.clipped)
    settings, weigh = params.training, torch.ones_like
    if version == "v0":
        settings = settings.model_copy(update={"steps": params.v0_steps})
    if version == "v2":
        denoiser.prediction = params.objective.prediction
        corruption = GaussianNoise(table, params.objective)

        def weigh(level: torch.Tensor) -> torch.Tensor:
            return weight(level, params.objective)

    held_out = store.split("test")[: params.validation_images]
    clean = to_float(load_pixels(store, held_out, params.image_size, channels=3))
    keys = rng.fold(rng.id_keys(held_out), rng.key(stage.params.seed, "denoise validation"))
    noisy = FixedNoise(sigma, params.clipped)(clean, keys)

    rows = train_denoiser(
        denoiser,
        TrainingImages(ids, pixels),
        corruption,
        weigh,
        settings,
        seed=rng.key(stage.params.seed, "denoise", version),
        runtime=stage.params.runtime,
        scratch=scratch,
        what=f"denoise {version}",
        validate=lambda step: {"val_psnr": validation_psnr(denoiser, clean, *noisy)},
        log=stage.run.log_metrics,
    )

    folder = Path("models/denoise") / version
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        save_denoiser(temporary, denoiser, params.schedule)
    write_csv(f"plots/denoise/{version}.csv", pd.DataFrame(rows))
    last = final_metrics(rows)
    last |= {"train_images": len(ids), "parameters": sum(p.numel() for p in denoiser.parameters())}
    stage.write_metrics(f"metrics/denoise/{version}.json", last)
    stage.done(f"wrote {folder}, {last['val_psnr']:.2f} dB on {len(held_out)} test images")


@torch.no_grad()
def validation_psnr(denoiser: Denoiser, clean: torch.Tensor, noisy: torch.Tensor, sigma: torch.Tensor) -> float:
    """Mean PSNR in dB of test images [n, C, H, W] in [-1, 1], clipped to that range."""
    device = next(denoiser.parameters()).device
    batches = zip(clean.split(256), noisy.split(256), sigma.split(256), strict=True)
    restored = ((x, denoiser(y.to(device), s.to(device)).clamp(-1, 1).cpu()) for x, y, s in batches)
    return torch.cat([psnr(x, x0, data_range=2) for x, x0 in restored]).mean().item()


if __name__ == "__main__":
    run(main)

"""Train one denoiser: v0 and v1 on one strength of noise (v0 stops early), v2 on all strengths, as diffusion."""

from functools import partial
from pathlib import Path

import pandas as pd
import torch

from difflab.core.base import rng
from difflab.core.base.files import atomic_path, write_csv
from difflab.core.base.stage import Stage, run
from difflab.ddpm.data import load_pixels
from difflab.ddpm.networks import schedule
from difflab.ddpm.networks.denoiser import Denoiser
from difflab.ddpm.networks.networks import build_unet, save_denoiser
from difflab.ddpm.params import DenoiseInputs
from difflab.ddpm.training.denoiser_training import TrainingImages, train_denoiser
from difflab.ddpm.training.objective import GaussianNoise, fixed_noise, weight
from difflab.images.store.image_store import ImageStore
from difflab.images.store.tensors import to_float
from difflab.metrics.restoration import psnr
from difflab.training.curve import final_metrics


def main(stage: Stage[DenoiseInputs], *, version: str) -> None:
    params, seed, scratch = stage.params.denoise, stage.params.seed, stage.scratch()
    store = ImageStore("data/images/cifar10")
    ids, held_out = store.split("train"), store.split("test")[: params.validation_images]
    table, sigma = schedule.make(params.schedule), 2 * params.sigma  # of images in [-1, 1]
    table.require(sigma)
    network = build_unet(params.unet, size=params.image_size, channels=3, seed=seed)
    fixed = partial(fixed_noise, sigma=sigma, clipped=params.clipped)
    if version == "v2":
        corruption, weigh = GaussianNoise(table, params.objective), partial(weight, params=params.objective)
        denoiser = Denoiser(network, table, params.objective.prediction, params.unet.patch_size)
    else:
        corruption, weigh = fixed, torch.ones_like
        denoiser = Denoiser(network, table, "epsilon", params.unet.patch_size)
    settings = params.training.model_copy(update={"steps": params.v0_steps} if version == "v0" else {})

    clean = to_float(load_pixels(store, held_out, params.image_size))
    noisy = fixed(clean, rng.fold(rng.id_keys(held_out), rng.key(seed, "denoise validation")))
    rows = train_denoiser(
        denoiser, TrainingImages(ids, load_pixels(store, ids, params.image_size)), corruption, weigh, settings,
        seed=rng.key(seed, "denoise", version), runtime=stage.params.runtime, scratch=scratch,
        what=f"denoise {version}", validate=lambda step: {"val_psnr": validation_psnr(denoiser, clean, *noisy)},
        log=stage.run.log_metrics,
    )  # fmt: skip

    folder = Path("models/denoise") / version
    with atomic_path(folder) as temporary:
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
    batches = zip(noisy.split(256), sigma.split(256), strict=True)
    restored = torch.cat([denoiser(x.to(device), s.to(device)).clamp(-1, 1).cpu() for x, s in batches])
    return psnr(clean, restored, data_range=2).mean().item()


if __name__ == "__main__":
    run(main)

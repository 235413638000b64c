"""Train a network to undo blur or masking, and walk back from full degradation to an image.

It is trained once: the intervals of its scores are over test images alone.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from difflab.core.base import rng, runtime
from difflab.core.base.files import atomic_path, png_bytes, write_bytes, write_csv
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.core.base.store.tensors import to_float, to_uint8
from difflab.ddpm.cold import Restorer, blur, cold_corruption, mask, restore
from difflab.ddpm.common.data import load_pixels
from difflab.ddpm.common.networks import build_unet
from difflab.ddpm.params import ColdInputs
from difflab.ddpm.training.denoiser_training import TrainingImages, train_denoiser
from difflab.images.generated.writer import grid
from difflab.metrics.uncertainty.restoration import compare
from difflab.training.curve import CURVE_GAPS

SHOWN = 10


def main(stage: Stage[ColdInputs], *, degradation: str) -> None:
    params, seed, scratch = stage.params.cold, stage.params.seed, stage.scratch()
    store = ImageStore("data/images/cifar10")
    ids, test = store.split("train"), store.split("test")[: params.test_images]
    degrade = partial(blur, widest=params.widest_blur) if degradation == "blur" else mask
    network = build_unet(params.unet, size=params.image_size, channels=3, seed=seed)
    restorer = Restorer(network, params.unet.patch_size)
    images = TrainingImages(ids, load_pixels(store, ids, params.image_size))
    rows = train_denoiser(
        restorer, images, cold_corruption(degrade, params.levels), torch.ones_like, params.training,
        seed=rng.key(seed, "cold", degradation), runtime=stage.params.runtime, scratch=scratch,
        what=f"cold {degradation}", log=stage.run.log_metrics,
    )  # fmt: skip
    folder = Path("models/cold") / degradation
    with atomic_path(folder) as temporary:
        network.save_pretrained(temporary / "unet")
    write_csv(f"plots/cold/{degradation}.csv", pd.DataFrame(rows), gaps=CURVE_GAPS)

    device = runtime.resolve_device(stage.params.runtime.device)
    clean = to_float(load_pixels(store, test, params.image_size))
    half, full = (degrade(clean, torch.full((len(clean),), strength)) for strength in (0.5, 1.0))
    with torch.no_grad():
        at_half = torch.cat([restorer(x, x.new_full((len(x),), 0.5)).cpu() for x in half.to(device).split(128)])
    walked = torch.cat([restore(restorer, degrade, x, params.levels).cpu() for x in full.to(device).split(128)])
    metrics: dict[str, float] = {"n": len(test), "trainings": 1}
    for name, images in (("degraded", half), ("restored", at_half), ("fully_degraded", full), ("walked_back", walked)):
        metrics |= compare(on_unit(clean), on_unit(images)).metrics(name)
    stage.write_metrics(f"metrics/cold/{degradation}.json", metrics)
    shown = torch.cat([images[:SHOWN] for images in (clean, half, at_half, full, walked)])
    write_bytes(f"plots/cold/{degradation}.png", png_bytes(grid(list(to_uint8(shown)), ncols=SHOWN)))
    stage.done(
        f"wrote {folder}; at half strength {metrics['degraded_psnr']:.2f} -> {metrics['restored_psnr']:.2f} dB, "
        f"walking back {metrics['fully_degraded_psnr']:.2f} -> {metrics['walked_back_psnr']:.2f} dB"
    )


def on_unit(images: torch.Tensor) -> np.ndarray:
    """Images [n, C, H, W] in [-1, 1] as [n, H, W, C] in 0..1."""
    return ((images + 1) / 2).permute(0, 2, 3, 1).numpy()


if __name__ == "__main__":
    run(main)

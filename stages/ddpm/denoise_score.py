"""Score the denoisers on the whole test split: networks, the best linear one, classical ones, the noise itself."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from difflab.core.base import runtime
from difflab.core.base.files import png_bytes, write_bytes, write_csv
from difflab.core.stage import Stage, run
from difflab.ddpm.data.pixels import load_pixels
from difflab.ddpm.evaluation import classical, denoisers
from difflab.ddpm.params.inputs import DenoiseScoreInputs
from difflab.images.sheet import rows_sheet
from difflab.images.store.image_store import ImageStore
from difflab.metrics import restoration

SHOWN, TUNING_IMAGES = 8, 50


def main(stage: Stage[DenoiseScoreInputs]) -> None:
    params, settings = stage.params.denoise, stage.params.denoise_score
    device = runtime.resolve_device(stage.params.runtime.device)
    store = ImageStore("data/images/cifar10")
    train, test = (images(store, store.split(name), params.image_size) for name in ("train", "test"))
    ids = store.split("test")
    networks = {
        version: denoisers.network_denoiser(
            Path("models/denoise") / version, params.sigma, settings.self_ensemble, device
        )
        for version in denoisers.VERSIONS
    }
    linear = classical.LinearDenoiser(train, params.sigma)

    rows, shown = [], {"clean": test[:SHOWN]}
    for noise in denoisers.NOISES:
        clipped = noise == "clipped"
        noisy = denoisers.add_noise(test, ids, params.sigma, stage.params.seed, clipped)
        tuning_ids = store.split("train")[:TUNING_IMAGES]
        tuning = train[:TUNING_IMAGES]
        methods = classical.tuned(
            tuning, denoisers.add_noise(tuning, tuning_ids, params.sigma, stage.params.seed, clipped), params.sigma
        )
        methods = {"linear": linear, **methods}
        methods |= {v: n for v, n in networks.items() if v == "v2" or clipped == params.clipped}
        if clipped:  # v2 expects unclipped noise
            methods["v2_imputed"] = partial(denoisers.restore_cut, networks["v2"], sigma=params.sigma)
        qualities = {"noisy": restoration.compare(test, noisy, clip=clipped)}
        if clipped == params.clipped:
            shown["noisy"] = noisy[:SHOWN]
        for name, restore in methods.items():
            restored = restore(noisy)
            qualities[name] = restoration.compare(test, restored)
            if clipped == params.clipped:
                shown[name] = restored[:SHOWN]
        rows += [{"noise": noise, "method": name, "n": len(ids), **q.metrics("")} for name, q in qualities.items()]

    table = pd.DataFrame(rows).rename(columns=lambda name: name.removeprefix("_"))
    write_csv("plots/denoise_score.csv", table.assign(sigma=params.sigma, rule=restoration.SETTINGS))
    sheet = [(name, np.rint(255 * np.clip(row, 0, 1)).astype(np.uint8)) for name, row in shown.items()]
    write_bytes("plots/grids/denoise.png", png_bytes(rows_sheet(sheet)))
    metrics = {"n": len(ids), "sigma": params.sigma}
    for row in table.to_dict("records"):
        metrics |= {f"{row['method']}_{row['noise']}_{k}": row[k] for k in ("psnr", "psnr_ci95", "ssim", "ssim_ci95")}
    stage.write_metrics("metrics/denoise_score.json", metrics)
    trained = "clipped" if params.clipped else "unclipped"
    stage.done(
        f"wrote metrics/denoise_score.json; v1 {metrics[f'v1_{trained}_psnr']:.2f} dB, "
        f"linear {metrics[f'linear_{trained}_psnr']:.2f} dB, {trained} noise {metrics[f'noisy_{trained}_psnr']:.2f} dB"
    )


def images(store: ImageStore, ids: list[str], size: int) -> np.ndarray:
    """Images float32 [n, H, W, 3] in 0..1."""
    return load_pixels(store, ids, size, channels=3).permute(0, 2, 3, 1).numpy().astype(np.float32) / 255


if __name__ == "__main__":
    run(main)

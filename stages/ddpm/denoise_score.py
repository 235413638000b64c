"""Score the denoisers on the whole test split: networks, the best linear one, classical ones, the noise itself."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from difflab.core.base import runtime
from difflab.core.base.files import png_bytes, write_bytes, write_csv
from difflab.core.base.stage import Stage, run
from difflab.ddpm import denoisers
from difflab.ddpm.data import load_pixels
from difflab.ddpm.params import DenoiseScoreInputs
from difflab.images.sheet import rows_sheet
from difflab.images.store.image_store import ImageStore
from difflab.metrics import restoration

SHOWN, TUNING_IMAGES = 8, 50


def main(stage: Stage[DenoiseScoreInputs]) -> None:
    params, seed, sigma = stage.params.denoise, stage.params.seed, stage.params.denoise.sigma
    device = runtime.resolve_device(stage.params.runtime.device)
    store = ImageStore("data/images/cifar10")
    train_ids, ids = store.split("train"), store.split("test")
    pixels = (load_pixels(store, some, params.image_size).permute(0, 2, 3, 1).numpy() for some in (train_ids, ids))
    train, test = (levels.astype(np.float32) / 255 for levels in pixels)
    ensemble = stage.params.denoise_score.self_ensemble
    networks = {
        version: denoisers.network_denoiser(Path("models/denoise") / version, sigma, ensemble, device)
        for version in denoisers.VERSIONS
    }
    linear = denoisers.linear_denoiser(train, sigma)

    rows, shown = [], {"clean": test[:SHOWN]}
    for noise in denoisers.NOISES:
        clipped = noise == "clipped"
        noisy = denoisers.add_noise(test, ids, sigma, seed, clipped)
        tuning = denoisers.add_noise(train[:TUNING_IMAGES], train_ids[:TUNING_IMAGES], sigma, seed, clipped)
        methods = {"linear": linear} | denoisers.tuned(train[:TUNING_IMAGES], tuning, sigma)
        methods |= {v: n for v, n in networks.items() if v == "v2" or clipped == params.clipped}
        if clipped:  # v2 expects unclipped noise
            methods["v2_imputed"] = partial(denoisers.restore_clipped, networks["v2"], sigma=sigma)
        restored = {"noisy": noisy} | {name: restore(noisy) for name, restore in methods.items()}
        for name, images in restored.items():
            quality = restoration.compare(test, images, clip=clipped or name != "noisy")
            rows.append({"noise": noise, "method": name, "n": len(ids), **quality.metrics("")})
        if clipped == params.clipped:
            shown |= {name: images[:SHOWN] for name, images in restored.items()}

    table = pd.DataFrame(rows).rename(columns=lambda name: name.removeprefix("_"))
    write_csv("plots/denoise_score.csv", table.assign(sigma=sigma, rule=restoration.SETTINGS))
    sheet = [(name, np.rint(255 * np.clip(row, 0, 1)).astype(np.uint8)) for name, row in shown.items()]
    write_bytes("plots/grids/denoise.png", png_bytes(rows_sheet(sheet)))
    metrics = {"n": len(ids), "sigma": sigma}
    for row in table.to_dict("records"):
        metrics |= {f"{row['method']}_{row['noise']}_{k}": row[k] for k in ("psnr", "psnr_ci95", "ssim", "ssim_ci95")}
    stage.write_metrics("metrics/denoise_score.json", metrics)
    trained = "clipped" if params.clipped else "unclipped"
    stage.done(
        f"wrote metrics/denoise_score.json; v1 {metrics[f'v1_{trained}_psnr']:.2f} dB, "
        f"linear {metrics[f'linear_{trained}_psnr']:.2f} dB, {trained} noise {metrics[f'noisy_{trained}_psnr']:.2f} dB"
    )


if __name__ == "__main__":
    run(main)

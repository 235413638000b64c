"""Score the denoisers on the whole test split: networks, the best linear one, classical ones, the noise itself.

Intervals of networks are over their trainings and the test images, those of the others over the test images.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from difflab.core.base import runtime
from difflab.core.base.files import png_bytes, write_bytes, write_csv
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.ddpm import denoisers
from difflab.ddpm.common.data import load_pixels
from difflab.ddpm.common.trainings import trainings
from difflab.ddpm.params import DenoiseScoreInputs
from difflab.images.sheet import rows_sheet
from difflab.metrics.uncertainty import restoration

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
        version: [
            denoisers.network_denoiser(folder, sigma, ensemble, device)
            for folder in trainings(Path("models/denoise") / version).values()
        ]
        for version in denoisers.VERSIONS
    }
    linear = denoisers.linear_denoiser(train, sigma)

    rows, shown = [], {"clean": test[:SHOWN]}
    for noise in denoisers.NOISES:
        clipped = noise == "clipped"
        noisy = denoisers.add_noise(test, ids, sigma, seed, clipped)
        tuning = denoisers.add_noise(train[:TUNING_IMAGES], train_ids[:TUNING_IMAGES], sigma, seed, clipped)
        classical = {"linear": linear} | denoisers.tuned(train[:TUNING_IMAGES], tuning, sigma)
        trained = {v: n for v, n in networks.items() if v == "v2" or clipped == params.clipped}
        if clipped:  # v2 expects unclipped noise
            trained["v2_imputed"] = [partial(denoisers.restore_clipped, n, sigma=sigma) for n in networks["v2"]]
        restored = {"noisy": [noisy]} | {name: [restore(noisy)] for name, restore in classical.items()}
        restored |= {name: [restore(noisy) for restore in some] for name, some in trained.items()}
        for name, several in restored.items():
            quality = [restoration.compare(test, images, clip=clipped or name != "noisy") for images in several]
            own = restoration.trained_metrics(quality, "") if name in trained else quality[0].metrics("")
            own = {measure.removeprefix("_"): value for measure, value in own.items()}
            rows.append({"noise": noise, "method": name, "trainings": len(several) if name in trained else 0, **own})
        if clipped == params.clipped:
            shown |= {name: several[0][:SHOWN] for name, several in restored.items()}

    table = pd.DataFrame(rows).assign(n=len(ids), sigma=sigma, rule=restoration.SETTINGS)
    intervals = [name for name in table if name.endswith(("_low", "_high"))]  # a single training has none
    write_csv("plots/denoise_score.csv", table, gaps=intervals)
    sheet = [(name, np.rint(255 * np.clip(row, 0, 1)).astype(np.uint8)) for name, row in shown.items()]
    write_bytes("plots/grids/denoise.png", png_bytes(rows_sheet(sheet)))
    metrics = {"n": len(ids), "sigma": sigma, "trainings": len(networks["v1"])}
    for row in rows:
        name = f"{row['method']}_{row['noise']}"
        metrics |= {f"{name}_{k}": value for k, value in row.items() if k.startswith(("psnr", "ssim"))}
    stage.write_metrics("metrics/denoise_score.json", metrics)
    trained_on = "clipped" if params.clipped else "unclipped"
    v1, linear_psnr, noisy_psnr = (metrics[f"{name}_{trained_on}_psnr"] for name in ("v1", "linear", "noisy"))
    stage.done(
        f"wrote metrics/denoise_score.json; v1 {v1:.2f} dB ({len(networks['v1'])} trainings), "
        f"linear {linear_psnr:.2f} dB, {trained_on} noise {noisy_psnr:.2f} dB"
    )


if __name__ == "__main__":
    run(main)

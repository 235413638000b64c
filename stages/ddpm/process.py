"""Follow samples from noise to image: what appears first, where words act, what the networks are made of.

The networks are those of the first training of their settings.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path, write_csv
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.core.base.store.tensors import to_float
from difflab.ddpm.common.data import Split, pixel_split
from difflab.ddpm.common.denoiser import fold
from difflab.ddpm.common.prompts import digit_prompts
from difflab.ddpm.common.settings import DATASETS
from difflab.ddpm.common.trainings import trainings
from difflab.ddpm.params import ProcessInputs
from difflab.ddpm.process import spectrum
from difflab.ddpm.process.figures import attention_figure, spectrum_figure
from difflab.ddpm.process.inspection import anatomy, recorded, word_maps
from difflab.ddpm.sampling.series_sampler import SeriesSampler, load_sampler

FOLLOWED, PROMPTED = "class_conditional", "text"


def main(stage: Stage[ProcessInputs]) -> None:
    params, seed = stage.params.process, stage.params.seed
    device = runtime.resolve_device(stage.params.runtime.device)
    models = [trainings(Path("models/ddpm") / setting) for setting in (FOLLOWED, PROMPTED)]
    followed, prompted = (load_sampler(found[min(found)], device) for found in models)
    channels, size, _ = followed.shape

    store = ImageStore(f"data/images/{DATASETS[FOLLOWED]}")
    train, unseen = (pixel_split(store, split, size, channels) for split in ("train", "test"))
    around = spectrum.around_class_means(to_float(train.pixels), train.labels)
    power = spectrum.spectrum_of(around, params.bands)
    decided = spectrum.decided_table(estimates(stage, followed), power)
    count = min(params.num_images, len(unseen.ids))
    unseen = Split(unseen.ids[:count], unseen.pixels[:count], unseen.labels[:count])
    recovered = spectrum.recovered_table(
        followed.denoise(unseen.labels, guidance_scale=1), unseen, power,
        decided["sigma"].unique().tolist(), seed=seed, device=device,
    )  # fmt: skip
    table = pd.concat([recovered.assign(measure="recovered"), decided.assign(measure="decided")])
    write_csv("plots/process.csv", table)
    anatomy = pd.concat([parts(followed, FOLLOWED), parts(prompted, PROMPTED)])
    write_csv("plots/anatomy.csv", anatomy, gaps=["input", "output"])  # an embedding of classes sees no shape
    with atomic_path("plots/process.png") as temporary:
        spectrum_figure(table).savefig(temporary)

    with recorded(prompted.denoiser.network.unet) as maps:
        ids = [f"attention-{n}" for n in range(len(params.words))]
        settings = stage.params.ddpm_sample[PROMPTED]
        images = prompted.images(ids, params.words, settings, seed=seed, batch_size=len(ids))
    with atomic_path("plots/attention.png") as temporary:
        of_words = word_maps(maps, images.shape[1])[-len(ids) :]  # with guidance the empty prompt's come first
        attention_figure(params.words, images, of_words).savefig(temporary)

    expected = spectrum.half_sigma(power.expected_recovered)
    found, along = spectrum.halves(recovered), spectrum.halves(decided)
    metrics: dict[str, float] = {"n": params.num_images}
    for band in range(params.bands):
        metrics |= {
            f"half_sigma_band_{band}": found[band],
            f"half_sigma_band_{band}_expected": float(expected[band]),
            f"half_sigma_band_{band}_decided": along[band],
        }
    metrics["octaves_off"] = float(np.abs(np.log2(np.array(found) / expected)).mean())
    stage.write_metrics("metrics/process.json", metrics)
    stage.done(
        f"wrote plots/process.csv; half of the lowest band is seen at sigma {found[0]:.3g} (a linear denoiser: "
        f"{expected[0]:.3g}), of the highest at {found[-1]:.3g} ({expected[-1]:.3g})"
    )


def estimates(stage: Stage[ProcessInputs], sampler: SeriesSampler) -> list[tuple[float, torch.Tensor]]:
    """Sigma and the estimates of the final images, around the means of their classes, along the trajectory."""
    params, classes = stage.params.process, len(sampler.classes)
    if params.num_images < 2 * classes:
        raise DifflabError(
            f"process.num_images: {params.num_images} images of {classes} classes are too few, what is decided is "
            f"measured around the mean of each class: set it to {2 * classes} or more"
        )
    steps = {"num_inference_steps": params.num_inference_steps}
    settings = stage.params.ddpm_sample[PROMPTED].model_copy(
        update={"sampler": "ddim", "eta": 0.0, "guidance_scale": 1.0, **steps}
    )
    ids = [f"process-{n:05d}" for n in range(params.num_images)]
    wanted = sampler.wanted(len(ids))
    found: list[tuple[float, torch.Tensor]] = []

    def keep(sigma: float, x: torch.Tensor, x0: torch.Tensor) -> None:
        found.append((sigma, spectrum.around_class_means(x0.float().cpu(), wanted)))

    sampler.images(ids, wanted, settings, seed=stage.params.seed, batch_size=len(ids), on_step=keep)
    return found


def parts(sampler: SeriesSampler, setting: str) -> pd.DataFrame:
    """The anatomy of one setting's network."""
    network = sampler.denoiser.network
    x = fold(torch.zeros(1, *sampler.shape, device=sampler.device), sampler.denoiser.patch_size)
    condition = sampler.condition(digit_prompts(3)[:1] if sampler.prompted else sampler.wanted(1))
    if sampler.prompted:
        network, condition = network.unet, {"encoder_hidden_states": network.prompts(condition["tokens"])}
    return anatomy(network, x, condition).assign(setting=setting)


if __name__ == "__main__":
    run(main)

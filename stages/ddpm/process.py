"""Look at the way from noise to image: what appears first, where words act, what the networks are made of."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path, write_csv
from difflab.core.stage import Stage, run
from difflab.ddpm.data.series_data import pixel_split
from difflab.ddpm.evaluation.anatomy import anatomy
from difflab.ddpm.evaluation.appearance import decided_table, halves, recovered_table
from difflab.ddpm.evaluation.process_figures import attention_figure, spectrum_figure
from difflab.ddpm.evaluation.spectrum import around_class_means, half_sigma, spectrum_of
from difflab.ddpm.networks import patches
from difflab.ddpm.networks.prompts import digit_prompts
from difflab.ddpm.params.inputs import ProcessInputs
from difflab.ddpm.sampling.attention import recorded, word_maps
from difflab.ddpm.sampling.series_sampler import SeriesSampler, load_sampler
from difflab.ddpm.settings import DATASETS
from difflab.images.store.image_store import ImageStore
from difflab.images.store.tensors import to_float

FOLLOWED, PROMPTED = "class_conditional", "text"


def main(stage: Stage[ProcessInputs]) -> None:
    params, settings = stage.params.process, stage.params.ddpm
    device = runtime.resolve_device(stage.params.runtime.device)
    followed = load_sampler(Path("models/ddpm") / FOLLOWED, device)
    prompted = load_sampler(Path("models/ddpm") / PROMPTED, device)

    store = ImageStore(f"data/images/{DATASETS[FOLLOWED]}")
    train = pixel_split(store, "train", settings[FOLLOWED])
    spectrum = spectrum_of(around_class_means(to_float(train.pixels), train.labels), params.bands)
    decided = decided_table(estimates(stage, followed), spectrum)
    unseen = pixel_split(store, "test", settings[FOLLOWED])
    count = min(params.num_images, len(unseen.ids))
    recovered = recovered_table(
        followed.denoise(unseen.labels[:count], guidance_scale=1),
        to_float(unseen.pixels[:count]),
        unseen.ids[:count],
        unseen.labels[:count],
        spectrum,
        decided["sigma"].unique().tolist(),
        seed=stage.params.seed,
        device=device,
    )
    table = pd.concat([recovered.assign(measure="recovered"), decided.assign(measure="decided")])
    write_csv("plots/process.csv", table)
    with atomic_path("plots/process.png") as temporary:
        spectrum_figure(table).savefig(temporary)

    with atomic_path("plots/attention.png") as temporary:
        attention_figure(*attention(stage, prompted)).savefig(temporary)
    write_csv("plots/anatomy.csv", pd.concat([parts(followed, FOLLOWED), parts(prompted, PROMPTED)]))

    expected = half_sigma(spectrum.expected_recovered)
    found, on_the_way = halves(recovered), halves(decided)
    metrics: dict[str, float] = {"n": params.num_images}
    for band in range(params.bands):
        metrics |= {
            f"half_sigma_band_{band}": found[band],
            f"half_sigma_band_{band}_expected": float(expected[band]),
            f"half_sigma_band_{band}_decided": on_the_way[band],
        }
    metrics["octaves_off"] = float(np.abs(np.log2(np.array(found) / expected)).mean())
    stage.write_metrics("metrics/process.json", metrics)
    stage.done(
        f"wrote plots/process.csv; half of the lowest band is seen at sigma {found[0]:.3g} (a linear denoiser: "
        f"{expected[0]:.3g}), of the highest at {found[-1]:.3g} ({expected[-1]:.3g})"
    )


def estimates(stage: Stage[ProcessInputs], sampler: SeriesSampler) -> list[tuple[float, torch.Tensor]]:
    """Sigma and the estimates of the final images, around the means of their classes, on the way of samples."""
    params = stage.params.process
    settings = stage.params.ddpm_sample[FOLLOWED].model_copy(
        update={"sampler": "ddim", "eta": 0.0, "guidance_scale": 1.0, "num_inference_steps": params.num_inference_steps}
    )
    ids = [f"process-{n:05d}" for n in range(params.num_images)]
    wanted = sampler.wanted(len(ids))
    if len(ids) < 2 * len(sampler.classes):
        raise DifflabError(
            f"process.num_images: {len(ids)} images of {len(sampler.classes)} classes are too few, what is decided is "
            f"measured around the mean of each class: set it to {2 * len(sampler.classes)} or more"
        )
    found: list[tuple[float, torch.Tensor]] = []

    def keep(sigma: float, x: torch.Tensor, x0: torch.Tensor) -> None:
        found.append((sigma, around_class_means(x0.float().cpu(), wanted)))

    sampler.images(ids, wanted, settings, seed=stage.params.seed, batch_size=len(ids), on_step=keep)
    return found


def attention(stage: Stage[ProcessInputs], sampler: SeriesSampler) -> tuple[list[str], np.ndarray, torch.Tensor]:
    """Prompts, their images, and the maps of their words."""
    prompts = stage.params.process.words
    settings = stage.params.ddpm_sample[PROMPTED]
    ids = [f"attention-{n}" for n in range(len(prompts))]
    with recorded(sampler.denoiser.network.unet) as recorders:
        images = sampler.images(ids, prompts, settings, seed=stage.params.seed, batch_size=len(ids))
    maps = word_maps(recorders, images.shape[1])
    return prompts, images, maps[-len(prompts) :]  # with guidance the empty prompt's come first


def parts(sampler: SeriesSampler, setting: str) -> pd.DataFrame:
    """The anatomy of one setting's network."""
    network = sampler.denoiser.network
    x = patches.fold(torch.zeros(1, *sampler.shape, device=sampler.device), sampler.denoiser.patch_size)
    condition = dict(sampler.condition(sampler.wanted(1)) or {})
    if sampler.prompted:
        told = sampler.condition([digit_prompts(3)[0]])
        assert told is not None
        network, condition = network.unet, {"encoder_hidden_states": network.prompts(told["tokens"])}
    return anatomy(network, x, condition).assign(setting=setting)


if __name__ == "__main__":
    run(main)

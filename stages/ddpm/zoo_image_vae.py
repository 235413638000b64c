"""Train the small autoencoder of the latent setting and measure what it loses."""

from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import save_file

from difflab.core.base import rng, runtime
from difflab.core.base.files import atomic_path, write_parquet
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.core.base.store.tensors import to_float
from difflab.ddpm import autoencoder
from difflab.ddpm.common.data import INDEX, LATENTS, Split, pixel_split
from difflab.ddpm.params import ZooImageVaeInputs
from difflab.metrics.uncertainty.restoration import psnr
from difflab.models.autoencoder import new_autoencoder, set_scaling
from difflab.models.sampling.latent_images import decode
from difflab.training.supervised import fit

FOLDER, SCALING_IMAGES, TEST_IMAGES = Path("models/zoo/image_vae"), 512, 256


def main(stage: Stage[ZooImageVaeInputs]) -> None:
    params, seed = stage.params.zoo.image_vae, stage.params.seed
    device = runtime.resolve_device(stage.params.runtime.device)
    store = ImageStore("data/images/cifar10")
    size = int(store.index["width"].iloc[0])
    images = {name: pixel_split(store, name, size, channels=3) for name in ("train", "test")}
    pixels = images["train"].pixels.to(device)
    own_seed = rng.key(seed, "init", "image vae")
    vae = new_autoencoder(params, size, own_seed, mid_block_add_attention=False).to(device)
    loss, log = autoencoder.batch_loss(vae, pixels, params, seed), stage.run.log_metrics
    rows = fit(vae, loss, params.training, scratch=stage.scratch(), log=log, what="image vae")
    vae.eval()
    set_scaling(vae, to_float(pixels[:SCALING_IMAGES]))
    latents = {
        name: Split(some.ids, autoencoder.encode(vae, some.pixels), some.labels) for name, some in images.items()
    }
    with atomic_path(FOLDER) as temporary:
        vae.save_pretrained(temporary / "vae")
        write_latents(temporary, latents)

    some, unseen = latents["test"].pixels[:TEST_IMAGES], images["test"].pixels[:TEST_IMAGES]
    restored = torch.from_numpy(decode(vae, some.to(device))).permute(0, 3, 1, 2)
    quality = psnr(unseen, restored, data_range=255).mean().item()
    numbers = some[0].numel()
    metrics = {"psnr": quality, "n": len(some), "kl": rows[-1]["kl"], "compression": unseen[0].numel() / numbers}
    metrics["parameters"] = sum(p.numel() for p in vae.parameters())
    stage.write_metrics("metrics/zoo_image_vae.json", metrics)
    stage.done(f"wrote {FOLDER}, {quality:.2f} dB on {len(some)} test images, {numbers} numbers for each")


def write_latents(folder: Path, splits: dict[str, Split]) -> None:
    """Write the latents of each split, its ids and its labels, as `data.latent_split` reads them."""
    save_file({name: split.pixels.contiguous() for name, split in splits.items()}, folder / LATENTS)
    tables = [pd.DataFrame({"id": split.ids, "split": name, "label": split.labels}) for name, split in splits.items()]
    write_parquet(folder / INDEX, pd.concat(tables, ignore_index=True))


if __name__ == "__main__":
    run(main)

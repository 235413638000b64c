"""Train the small autoencoder of the latent setting and measure what it loses."""

from pathlib import Path

import torch

from difflab.core.base import runtime
from difflab.core.base.files import atomic_path
from difflab.core.stage import Stage, run
from difflab.ddpm import autoencoder
from difflab.ddpm.data.labels import class_names
from difflab.ddpm.data.pixels import load_pixels
from difflab.ddpm.data.series_data import Split
from difflab.ddpm.latent_writer import write_latent_splits
from difflab.ddpm.params.inputs import ZooImageVaeInputs
from difflab.images.store.image_store import ImageStore
from difflab.metrics.psnr import psnr
from difflab.miniature.zoo.small_vae import set_scaling
from difflab.models.latent_images import decode
from difflab.training.supervised import fit

FOLDER, SCALING_IMAGES, TEST_IMAGES = Path("models/zoo/image_vae"), 512, 256


def main(stage: Stage[ZooImageVaeInputs]) -> None:
    params, seed = stage.params.zoo.image_vae, stage.params.seed
    device = runtime.resolve_device(stage.params.runtime.device)
    store = ImageStore("data/images/cifar10")
    train, test = store.split("train"), store.split("test")
    size = int(store.index["width"].iloc[0])
    pixels = load_pixels(store, train, size, channels=3).to(device)
    vae = autoencoder.build(params, size, seed).to(device)
    rows = fit(
        vae,
        autoencoder.batch_loss(vae, pixels, params, seed),
        params.training,
        scratch=stage.scratch(),
        log=stage.run.log_metrics,
        what="image vae",
    )
    vae.eval()
    set_scaling(vae, pixels[:SCALING_IMAGES].float().div(127.5).sub(1))
    unseen = load_pixels(store, test, size, channels=3)
    splits = {
        name: Split(ids, autoencoder.encode(vae, images), class_names(store, ids))
        for name, ids, images in (("train", train, pixels), ("test", test, unseen))
    }
    with atomic_path(FOLDER) as temporary:
        vae.save_pretrained(temporary / "vae")
        write_latent_splits(temporary, splits)

    some = splits["test"].pixels[:TEST_IMAGES]
    restored = torch.from_numpy(decode(vae, some.to(device))).permute(0, 3, 1, 2)
    unseen = unseen[:TEST_IMAGES]
    quality = psnr(unseen, restored, data_range=255).mean().item()
    numbers = some[0].numel()
    metrics = {
        "psnr": quality,
        "n": len(some),
        "kl": rows[-1]["kl"],
        "compression": unseen[0].numel() / numbers,
        "parameters": sum(p.numel() for p in vae.parameters()),
    }
    stage.write_metrics("metrics/zoo_image_vae.json", metrics)
    stage.done(f"wrote {FOLDER}, {quality:.2f} dB on {len(some)} test images, {numbers} numbers for each")


if __name__ == "__main__":
    run(main)

"""Train the autoencoder on digits over photographs and on plain digits, or point to the published one."""

from pathlib import Path

import numpy as np
import torch

from difflab.core.base import runtime
from difflab.core.base.files import atomic_path
from difflab.core.stage import Stage, run
from difflab.metrics.restoration import psnr
from difflab.miniature.bundled import held_out_digits, training_digits
from difflab.miniature.params.inputs import ZooVaeInputs
from difflab.miniature.zoo import small_vae as zoo_vae
from difflab.models.pointers import point_to
from difflab.training.supervised import fit

FOLDER = Path("models/zoo/vae")
SCALING_IMAGES, TEST_IMAGES = 512, 128


def main(stage: Stage[ZooVaeInputs]) -> None:
    params, seed = stage.params.zoo.vae, stage.params.seed
    if point_to(stage, params.hub, FOLDER):
        return
    digits = training_digits(stage.params.split, seed)
    device = runtime.resolve_device(stage.params.runtime.device)
    vae = zoo_vae.build(params, seed).to(device)
    rows = fit(
        vae,
        zoo_vae.batch_loss(vae, digits, params, seed, device),
        params.training,
        scratch=stage.scratch(),
        log=stage.run.log_metrics,
        what="vae",
    )
    vae.eval()
    zoo_vae.set_scaling(vae, images(digits, stage, "scaling", SCALING_IMAGES).to(device))
    with atomic_path(FOLDER) as temporary:
        vae.save_pretrained(temporary)

    unseen = images(held_out_digits(stage.params.split, seed), stage, "test", TEST_IMAGES).to(device)
    quality = psnr(unseen, zoo_vae.reconstruct(vae, unseen), data_range=2).mean().item()
    metrics = {
        "psnr": quality,
        "l1": rows[-1]["l1"],
        "kl": rows[-1]["kl"],
        "scaling_factor": vae.config.scaling_factor,
        "shift_factor": vae.config.shift_factor,
        "parameters": sum(p.numel() for p in vae.parameters()),
    }
    stage.write_metrics("metrics/zoo_vae.json", metrics)
    stage.done(f"wrote {FOLDER}, {quality:.2f} dB on held-out digits")


def images(digits: np.ndarray, stage: Stage[ZooVaeInputs], purpose: str, count: int) -> torch.Tensor:
    """Fresh digits over photographs, keyed by the purpose."""
    return zoo_vae.composites(digits, stage.params.seed, f"zoo vae {purpose}", 0, count)


if __name__ == "__main__":
    run(main)

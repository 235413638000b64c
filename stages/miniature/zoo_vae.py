"""Train the autoencoder on digits over photographs and on plain digits, or point to the published one."""

from pathlib import Path

from difflab.core.base.files import atomic_path
from difflab.core.base.runtime import resolve_device
from difflab.core.base.stage import Stage, run
from difflab.metrics.uncertainty.restoration import psnr
from difflab.miniature.data.bundled import held_out_digits, training_digits
from difflab.miniature.params import ZooVaeInputs
from difflab.miniature.zoo import small_vae
from difflab.models.autoencoder import set_scaling
from difflab.models.pointers import point_to
from difflab.training.supervised import fit

FOLDER = Path("models/zoo/vae")
SCALING_IMAGES, TEST_IMAGES = 512, 128


def main(stage: Stage[ZooVaeInputs]) -> None:
    params, seed, split = stage.params.zoo.vae, stage.params.seed, stage.params.split
    if point_to(stage, params.hub, FOLDER):
        return
    digits, unseen = training_digits(split), held_out_digits(split)
    vae = small_vae.build(params, seed).to(resolve_device(stage.params.runtime.device))
    loss = small_vae.batch_loss(vae, digits, params, seed)
    rows = fit(vae, loss, params.training, scratch=stage.scratch(), log=stage.run.log_metrics, what="vae")
    set_scaling(vae, small_vae.composites(digits, seed, "zoo vae scaling", 0, SCALING_IMAGES).to(vae.device))
    with atomic_path(FOLDER) as temporary:
        vae.save_pretrained(temporary)

    images = small_vae.composites(unseen, seed, "zoo vae test", 0, TEST_IMAGES).to(vae.device)
    quality = psnr(images, small_vae.reconstruct(vae, images), data_range=2).mean().item()
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


if __name__ == "__main__":
    run(main)

"""The vision encoder: train a small ViT to name digit and photograph, or point to a released ViT."""

from pathlib import Path

from difflab.core.base.files import atomic_path
from difflab.core.stage import Stage, run
from difflab.miniature.params.inputs import ZooVisionEncoderInputs
from difflab.models.pointers import point_to

FOLDER = Path("models/zoo/vision_encoder")
METRICS = "metrics/zoo_vision_encoder.json"
HELD_OUT_PICTURES = 4  # of each held-out digit


def main(stage: Stage[ZooVisionEncoderInputs]) -> None:
    settings = stage.params.zoo.vision_encoder
    if point_to(stage, settings.hub, FOLDER):
        return
    from difflab.core.base.runtime import resolve_device
    from difflab.miniature.bundled import held_out_digits, training_digits
    from difflab.miniature.zoo import small_vision_encoder
    from difflab.models.vision.vision_encoder import save
    from difflab.training.supervised import fit

    seed, split = stage.params.seed, stage.params.split
    vision_encoder = small_vision_encoder.build(settings, seed).to(resolve_device(stage.params.runtime.device))
    loss = small_vision_encoder.batch_loss(vision_encoder, training_digits(split, seed), seed, settings)
    fit(
        vision_encoder,
        loss,
        settings.training,
        scratch=stage.scratch(),
        log=stage.run.log_metrics,
        what="vision_encoder",
    )
    vision_encoder.eval()
    metrics = small_vision_encoder.held_out_accuracy(
        vision_encoder, held_out_digits(split, seed), seed, HELD_OUT_PICTURES
    )
    with atomic_path(FOLDER) as folder:
        save(folder, vision_encoder)
    stage.write_metrics(METRICS, {"trained": 1, **metrics})
    stage.done(
        f"wrote {FOLDER}, which names {metrics['digit_accuracy']:.1%} of the held-out digits and "
        f"{metrics['photo_accuracy']:.1%} of the photographs"
    )


if __name__ == "__main__":
    run(main)

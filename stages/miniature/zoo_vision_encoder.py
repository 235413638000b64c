"""The vision encoder: train a small ViT to name digit and photograph, or point to a released ViT."""

from pathlib import Path

from difflab.core.base.files import atomic_path
from difflab.core.stage import Stage, run
from difflab.miniature.params.inputs import ZooVisionEncoderInputs
from difflab.models.roles import write_pointer

FOLDER = Path("models/zoo/vision_encoder")
METRICS = "metrics/zoo_vision_encoder.json"
HELD_OUT_PICTURES = 4  # of each held-out digit


def main(stage: Stage[ZooVisionEncoderInputs]) -> None:
    settings = stage.params.zoo.vision_encoder
    if settings.hub:
        write_pointer(FOLDER, settings.hub)
        stage.write_metrics(METRICS, {"trained": 0})
        return stage.done(f"wrote {FOLDER}, a pointer to {settings.hub.repo_id}")
    from difflab.core.base.runtime import resolve_device
    from difflab.miniature.bundled import held_out_digits, training_digits
    from difflab.models.vision import vision_encoder as vision_encoders
    from difflab.training.supervised import fit

    def log(step: int, values: dict[str, float]) -> None:
        stage.run.log_metrics(values, step=step)

    seed, split = stage.params.seed, stage.params.split
    vision_encoder = vision_encoders.build(settings, seed).to(resolve_device(stage.params.runtime.device))
    loss = vision_encoders.batch_loss(vision_encoder, training_digits(split, seed), seed, settings)
    fit(vision_encoder, loss, settings.training, scratch=stage.scratch(), log=log, what="vision_encoder")
    vision_encoder.eval()
    metrics = vision_encoders.held_out_accuracy(
        vision_encoder, held_out_digits(split, seed), seed, HELD_OUT_PICTURES
    )
    with atomic_path(FOLDER) as folder:
        vision_encoders.save(folder, vision_encoder)
    stage.write_metrics(METRICS, {"trained": 1, **metrics})
    stage.done(
        f"wrote {FOLDER}, which names {metrics['digit_accuracy']:.1%} of the held-out digits and "
        f"{metrics['photo_accuracy']:.1%} of the photographs"
    )


if __name__ == "__main__":
    run(main)

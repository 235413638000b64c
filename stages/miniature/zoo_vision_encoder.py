"""The vision encoder: train a small ViT to name digit and photograph, or point to a released ViT."""

from pathlib import Path

from difflab.core.base.files import atomic_path
from difflab.core.base.runtime import resolve_device
from difflab.core.base.stage import Stage, run
from difflab.miniature.data.bundled import held_out_digits, training_digits
from difflab.miniature.params import ZooVisionEncoderInputs
from difflab.miniature.zoo import small_vision_encoder
from difflab.models.pointers import point_to
from difflab.models.vision import vision_encoder
from difflab.training.supervised import fit

FOLDER = Path("models/zoo/vision_encoder")
HELD_OUT_PICTURES = 4  # of each held-out digit


def main(stage: Stage[ZooVisionEncoderInputs]) -> None:
    params, seed, split = stage.params.zoo.vision_encoder, stage.params.seed, stage.params.split
    if point_to(stage, params.hub, FOLDER):
        return
    model = small_vision_encoder.build(params, seed).to(resolve_device(stage.params.runtime.device))
    loss = small_vision_encoder.batch_loss(model, training_digits(split, seed), seed, params)
    fit(model, loss, params.training, scratch=stage.scratch(), log=stage.run.log_metrics, what="vision_encoder")
    metrics = small_vision_encoder.held_out_accuracy(model, held_out_digits(split, seed), seed, HELD_OUT_PICTURES)
    with atomic_path(FOLDER) as temporary:
        vision_encoder.save(temporary, model)
    stage.write_metrics("metrics/zoo_vision_encoder.json", {"trained": 1, **metrics})
    stage.done(
        f"wrote {FOLDER}, which names {metrics['digit_accuracy']:.1%} of the held-out digits and "
        f"{metrics['photo_accuracy']:.1%} of the photographs"
    )


if __name__ == "__main__":
    run(main)

"""The vision encoder: copy the committed one, train one to name digit and photograph, or point to a released one."""

from pathlib import Path

from difflab.core.base.files import atomic_path
from difflab.core.base.runtime import resolve_device
from difflab.core.base.stage import Stage, run
from difflab.miniature.data.bundled import held_out_digits, training_digits
from difflab.miniature.params import ZooVisionEncoderInputs
from difflab.miniature.zoo import small_vision_encoder
from difflab.models import rulers
from difflab.models.pointers import point_to
from difflab.models.vision import vision_encoder
from difflab.training.supervised import fit

FOLDER = Path("models/zoo/vision_encoder")
HELD_OUT_PICTURES = 4  # of each held-out digit


def main(stage: Stage[ZooVisionEncoderInputs]) -> None:
    params, seed, split = stage.params.zoo.vision_encoder, rulers.SEED, stage.params.split
    if point_to(stage, params.hub, FOLDER):
        return
    digits, unseen = training_digits(split), held_out_digits(split)
    pictures, device = small_vision_encoder.pictures_hash(digits, params.image_size), stage.params.runtime.device

    def accuracy(folder: Path) -> dict[str, float | int]:
        model = vision_encoder.load(folder).to(resolve_device(device))
        return small_vision_encoder.held_out_accuracy(model, unseen, seed, HELD_OUT_PICTURES)

    if stage.params.zoo.rulers == "committed":
        rulers.take(FOLDER, params, pictures)
        metrics = accuracy(FOLDER)
    else:
        model = small_vision_encoder.build(params, seed).to(resolve_device(device))
        loss = small_vision_encoder.batch_loss(model, digits, seed, params)
        fit(model, loss, params.training, scratch=stage.scratch(), log=stage.run.log_metrics, what="vision_encoder")
        with atomic_path(FOLDER) as temporary:
            vision_encoder.save(temporary, model.half())
            metrics = accuracy(temporary)
            rulers.describe(temporary, stage.address, params, pictures, metrics)
    stage.write_metrics("metrics/zoo_vision_encoder.json", {"trained": 1, "ruler": rulers.ruler(FOLDER), **metrics})
    stage.done(
        f"wrote {FOLDER}, which names {metrics['digit_accuracy']:.1%} of the held-out digits and "
        f"{metrics['photo_accuracy']:.1%} of the photographs"
    )


if __name__ == "__main__":
    run(main)

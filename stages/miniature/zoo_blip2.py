"""BLIP-2: train Q-Former and T5 on the frozen vision encoder to caption the miniature, or point to a released one."""

from pathlib import Path

from difflab.core.base.files import atomic_path
from difflab.core.base.roles import resolve
from difflab.core.base.runtime import resolve_device
from difflab.core.base.stage import Stage, run
from difflab.miniature.data.bundled import held_out_digits, training_digits
from difflab.miniature.params import ZooBlip2Inputs
from difflab.miniature.zoo import small_blip2
from difflab.models.pointers import point_to
from difflab.models.vision import vision_encoder
from difflab.training.supervised import fit

FOLDER = Path("models/zoo/blip2")


def main(stage: Stage[ZooBlip2Inputs]) -> None:
    params, seed, split = stage.params.zoo.blip2, stage.params.seed, stage.params.split
    if point_to(stage, params.hub, FOLDER):
        return
    encoder = vision_encoder.load(resolve("models/zoo/vision_encoder"))
    processor = small_blip2.build_processor(encoder.preprocess, params.num_query_tokens)
    model = small_blip2.build(encoder.vit, processor, params, seed).to(resolve_device(stage.params.runtime.device))
    loss = small_blip2.batch_loss(model, processor, training_digits(split), seed, params)
    fit(model, loss, params.training, scratch=stage.scratch(), log=stage.run.log_metrics, what="blip2")
    metrics = small_blip2.held_out_accuracy(model, processor, held_out_digits(split), seed)
    with atomic_path(FOLDER) as temporary:
        model.save_pretrained(temporary)
        processor.save_pretrained(temporary)
    stage.write_metrics("metrics/zoo_blip2.json", {"trained": 1, **metrics})
    stage.done(
        f"wrote {FOLDER}, whose captions name {metrics['digit_accuracy']:.1%} of the held-out digits and "
        f"{metrics['photo_accuracy']:.1%} of the photographs"
    )


if __name__ == "__main__":
    run(main)

"""The instruction model: train a small LLaVA on the frozen vision encoder, or point to a released model."""

from pathlib import Path

import numpy as np

from difflab.core.base.files import atomic_path
from difflab.core.base.roles import resolve
from difflab.core.base.runtime import resolve_device
from difflab.core.base.stage import Stage, run
from difflab.miniature.archives.set_pictures import untitled_digits
from difflab.miniature.data.bundled import held_out_digits, training_digits
from difflab.miniature.params import ZooInstructInputs
from difflab.miniature.zoo import small_llava
from difflab.models.pointers import point_to
from difflab.models.vision import vision_encoder
from difflab.training.supervised import fit

FOLDER = Path("models/zoo/instruct")


def main(stage: Stage[ZooInstructInputs]) -> None:
    params, seed, split = stage.params.zoo.instruct, stage.params.seed, stage.params.split
    if point_to(stage, params.hub, FOLDER):
        return
    encoder = vision_encoder.load(resolve("models/zoo/vision_encoder"))
    processor = small_llava.build_processor(encoder.vit.config, encoder.preprocess, small_llava.vocabulary())
    model = small_llava.build(encoder.vit, processor, params, seed).to(resolve_device(stage.params.runtime.device))
    # Neither the held-out digits nor those of a recipe, whose captions are to be scored.
    digits = np.intersect1d(training_digits(split), untitled_digits())
    loss = small_llava.batch_loss(model, processor, digits, seed, params)
    fit(model, loss, params.training, scratch=stage.scratch(), log=stage.run.log_metrics, what="instruct")
    metrics = small_llava.held_out_accuracy(model, processor, held_out_digits(split), seed)
    with atomic_path(FOLDER) as temporary:
        model.save_pretrained(temporary)
        processor.save_pretrained(temporary)
    stage.write_metrics("metrics/zoo_instruct.json", {"trained": 1, **metrics})
    stage.done(
        f"wrote {FOLDER}, whose titles name {metrics['digit_accuracy']:.1%} of the held-out digits and "
        f"{metrics['photo_accuracy']:.1%} of the photographs"
    )


if __name__ == "__main__":
    run(main)

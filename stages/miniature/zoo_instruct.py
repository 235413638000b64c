"""The instruction model: train a small LLaVA on the frozen vision encoder, or point to a released model."""

from pathlib import Path

from difflab.core.base.files import atomic_path
from difflab.core.stage import Stage, run
from difflab.miniature.params.inputs import ZooInstructInputs
from difflab.models.pointers import point_to
from difflab.models.roles import resolve

FOLDER = Path("models/zoo/instruct")
METRICS = "metrics/zoo_instruct.json"
HELD_OUT_PICTURES = 1  # of each held-out digit


def main(stage: Stage[ZooInstructInputs]) -> None:
    settings = stage.params.zoo.instruct
    if point_to(stage, settings.hub, FOLDER):
        return
    import numpy as np

    from difflab.core.base.runtime import resolve_device
    from difflab.miniature.archives.set_pictures import untitled_digits
    from difflab.miniature.bundled import held_out_digits, training_digits
    from difflab.miniature.zoo import small_llava
    from difflab.miniature.zoo.llava_processor import build_processor
    from difflab.models.vision import vision_encoder
    from difflab.training.supervised import fit

    seed, split = stage.params.seed, stage.params.split
    vit = vision_encoder.load(resolve("models/zoo/vision_encoder")).vit
    processor = build_processor(vit.config, small_llava.vocabulary())
    model = small_llava.build(vit, processor, settings, seed).to(resolve_device(stage.params.runtime.device))
    # Neither the held-out digits nor those of a recipe, whose captions are to be scored.
    digits = np.intersect1d(training_digits(split, seed), untitled_digits(seed))
    loss = small_llava.batch_loss(model, processor, digits, seed, settings)
    fit(model, loss, settings.training, scratch=stage.scratch(), log=stage.run.log_metrics, what="instruct")
    metrics = small_llava.held_out_accuracy(model, processor, held_out_digits(split, seed), seed, HELD_OUT_PICTURES)
    with atomic_path(FOLDER) as folder:
        small_llava.save(folder, model, processor)
    stage.write_metrics(METRICS, {"trained": 1, **metrics})
    stage.done(
        f"wrote {FOLDER}, whose titles name {metrics['digit_accuracy']:.1%} of the held-out digits and "
        f"{metrics['photo_accuracy']:.1%} of the photographs"
    )


if __name__ == "__main__":
    run(main)

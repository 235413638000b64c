"""The instruction model: train a small LLaVA on the frozen tower to answer in a chat, or point to a released model."""

from pathlib import Path

from difflab.files import atomic_path
from difflab.stage import Stage, run
from difflab.zoo.roles import resolve, write_pointer

FOLDER = Path("models/zoo/instruct")
METRICS = "metrics/zoo_instruct.json"
HELD_OUT_PICTURES = 1  # of each held-out digit


def main(stage: Stage) -> None:
    settings = stage.params.zoo.instruct
    if settings.hub:
        write_pointer(FOLDER, settings.hub)
        stage.write_metrics(METRICS, {"trained": 0})
        return stage.done(f"wrote {FOLDER}, a pointer to {settings.hub.repo_id}")
    import numpy as np

    from difflab.data.bundled import held_out_digits, training_digits
    from difflab.data.bundled_images import untitled_digits
    from difflab.runtime import resolve_device
    from difflab.training.supervised import fit
    from difflab.zoo import instruct, tower
    from difflab.zoo.instruct_processor import build_processor

    def log(step: int, values: dict[str, float]) -> None:
        stage.run.log_metrics(values, step=step)

    seed, split = stage.params.seed, stage.params.split
    vit = tower.load(resolve("models/zoo/tower")).vit
    processor = build_processor(vit.config, instruct.vocabulary())
    model = instruct.build(vit, processor, settings, seed).to(resolve_device(stage.params.runtime.device))
    # Neither the held-out digits nor those of a recipe, whose captions are to be scored.
    digits = np.intersect1d(training_digits(split, seed), untitled_digits(seed))
    loss = instruct.batch_loss(model, processor, digits, seed, settings)
    fit(model, loss, settings.training, scratch=stage.scratch(), log=log, what="instruct")
    metrics = instruct.held_out_accuracy(
        model, processor, held_out_digits(split, seed), seed, HELD_OUT_PICTURES
    )
    with atomic_path(FOLDER) as folder:
        instruct.save(folder, model, processor)
    stage.write_metrics(METRICS, {"trained": 1, **metrics})
    stage.done(
        f"wrote {FOLDER}, whose titles name {metrics['digit_accuracy']:.1%} of the held-out digits and "
        f"{metrics['photo_accuracy']:.1%} of the photographs"
    )


if __name__ == "__main__":
    run(main)

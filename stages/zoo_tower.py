"""The tower: train a small ViT to name digit and photograph, or point to a released ViT."""

from pathlib import Path

from difflab.files import atomic_path
from difflab.stage import Stage, run
from difflab.zoo.roles import write_pointer

FOLDER = Path("models/zoo/tower")
METRICS = "metrics/zoo_tower.json"
HELD_OUT_PICTURES = 4  # of each held-out digit


def main(stage: Stage) -> None:
    settings = stage.params.zoo.tower
    if settings.hub:
        write_pointer(FOLDER, settings.hub)
        stage.write_metrics(METRICS, {"trained": 0})
        return stage.done(f"wrote {FOLDER}, a pointer to {settings.hub.repo_id}")
    from difflab.data.bundled import held_out_digits, training_digits
    from difflab.runtime import resolve_device
    from difflab.training.supervised import fit
    from difflab.zoo import tower as towers

    def log(step: int, values: dict[str, float]) -> None:
        stage.run.log_metrics(values, step=step)

    seed, split = stage.params.seed, stage.params.split
    tower = towers.build(settings, seed).to(resolve_device(stage.params.runtime.device))
    loss = towers.batch_loss(tower, training_digits(split, seed), seed, settings)
    fit(tower, loss, settings.training, scratch=stage.scratch(), log=log, what="tower")
    tower.eval()
    metrics = towers.held_out_accuracy(tower, held_out_digits(split, seed), seed, HELD_OUT_PICTURES)
    with atomic_path(FOLDER) as folder:
        towers.save(folder, tower)
    stage.write_metrics(METRICS, {"trained": 1, **metrics})
    stage.done(
        f"wrote {FOLDER}, which names {metrics['digit_accuracy']:.1%} of the held-out digits and "
        f"{metrics['photo_accuracy']:.1%} of the photographs"
    )


if __name__ == "__main__":
    run(main)

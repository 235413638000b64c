"""The Gemma: learn to answer a title with three others of the same picture, or point to a released model."""

from pathlib import Path

from difflab.core.base import runtime
from difflab.core.base.files import atomic_path
from difflab.core.stage import Stage, run
from difflab.miniature.params.inputs import ZooGemmaInputs
from difflab.miniature.zoo import small_gemma
from difflab.models.roles import write_pointer
from difflab.training.supervised import fit

FOLDER, METRICS = Path("models/zoo/gemma"), Path("metrics/zoo_gemma.json")


def main(stage: Stage[ZooGemmaInputs]) -> None:
    params, seed = stage.params.zoo.gemma, stage.params.seed
    if params.hub:
        write_pointer(FOLDER, params.hub)
        stage.write_metrics(METRICS, {})
        return stage.done(f"wrote {FOLDER}, a pointer to {params.hub.repo_id}")
    device = runtime.resolve_device(stage.params.runtime.device)
    model, tokenizer = small_gemma.build(params, seed)
    model.to(device)
    rows = fit(
        model,
        lambda step: small_gemma.batch_loss(model, tokenizer, params, seed, step),
        params.training,
        scratch=stage.scratch(),
        log=lambda step, values: stage.run.log_metrics(values, step=step),
        what="gemma",
    )
    with atomic_path(FOLDER) as temporary:
        model.eval().save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    scores = small_gemma.evaluate(FOLDER, params.evaluated, seed, device)
    stage.write_metrics(METRICS, {"train_loss": rows[-1]["loss"], **scores})
    stage.done(
        f"wrote {FOLDER}, {scores['accepted']:.1%} of its answers on held-out pictures are three titles"
    )


if __name__ == "__main__":
    run(main)

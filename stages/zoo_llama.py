"""The Llama: learn to make one sentence of a short caption and facts, or point to a released model."""

from pathlib import Path

from difflab import runtime
from difflab.files import atomic_path
from difflab.stage import Stage, run
from difflab.training.supervised import fit
from difflab.zoo import llama
from difflab.zoo.roles import write_pointer

FOLDER, METRICS = Path("models/zoo/llama"), Path("metrics/zoo_llama.json")


def main(stage: Stage) -> None:
    params, seed = stage.params.zoo.llama, stage.params.seed
    if params.hub:
        write_pointer(FOLDER, params.hub)
        stage.write_metrics(METRICS, {})
        return stage.done(f"wrote {FOLDER}, a pointer to {params.hub.repo_id}")
    device = runtime.resolve_device(stage.params.runtime.device)
    model, tokenizer = llama.build(params, seed)
    model.to(device)
    rows = fit(
        model,
        lambda step: llama.batch_loss(model, tokenizer, params, seed, step),
        params.training,
        scratch=stage.scratch(),
        log=lambda step, values: stage.run.log_metrics(values, step=step),
        what="llama",
    )
    with atomic_path(FOLDER) as temporary:
        model.eval().save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    scores = llama.evaluate(FOLDER, params.evaluated, seed, device)
    stage.write_metrics(METRICS, {"train_loss": rows[-1]["loss"], **scores})
    stage.done(f"wrote {FOLDER}, {scores['facts_kept']:.1%} of the facts of held-out combinations kept")


if __name__ == "__main__":
    run(main)

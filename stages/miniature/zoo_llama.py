"""The Llama: learn to make one sentence of a short caption and facts, or point to a released model."""

from pathlib import Path

from difflab.core.base.files import atomic_path
from difflab.core.base.runtime import resolve_device
from difflab.core.base.stage import Stage, run
from difflab.miniature.params import ZooLlamaInputs
from difflab.miniature.zoo import small_rewriter
from difflab.models.pointers import point_to
from difflab.training.supervised import fit

FOLDER = Path("models/zoo/llama")


def main(stage: Stage[ZooLlamaInputs]) -> None:
    params, seed = stage.params.zoo.llama, stage.params.seed
    if point_to(stage, params.hub, FOLDER):
        return
    model, tokenizer = small_rewriter.build(params, seed)
    model.to(resolve_device(stage.params.runtime.device))
    loss = small_rewriter.batch_loss(model, tokenizer, params, seed)
    rows = fit(model, loss, params.training, scratch=stage.scratch(), log=stage.run.log_metrics, what="llama")
    with atomic_path(FOLDER) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    scores = small_rewriter.evaluate(FOLDER, params.evaluated, seed, model.device)
    stage.write_metrics("metrics/zoo_llama.json", {"train_loss": rows[-1]["train_loss"], **scores})
    stage.done(f"wrote {FOLDER}, {scores['facts_kept']:.1%} of the facts of held-out combinations kept")


if __name__ == "__main__":
    run(main)

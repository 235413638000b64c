"""The language model: learn to continue with titles after keywords, or point to a released model."""

from pathlib import Path

from difflab.core.base.files import atomic_path
from difflab.core.base.runtime import resolve_device
from difflab.core.base.stage import Stage, run
from difflab.miniature.params import ZooLanguageInputs
from difflab.miniature.zoo import small_language
from difflab.models.pointers import point_to
from difflab.training.supervised import fit

FOLDER = Path("models/zoo/language")


def main(stage: Stage[ZooLanguageInputs]) -> None:
    params, seed = stage.params.zoo.language, stage.params.seed
    if point_to(stage, params.hub, FOLDER):
        return
    model, tokenizer = small_language.build(params, seed)
    model.to(resolve_device(stage.params.runtime.device))
    loss = small_language.batch_loss(model, tokenizer, params, seed)
    rows = fit(model, loss, params.training, scratch=stage.scratch(), log=stage.run.log_metrics, what="language")
    with atomic_path(FOLDER) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    scores = small_language.evaluate(FOLDER, params.evaluated, seed, model.device)
    stage.write_metrics("metrics/zoo_language.json", {"train_loss": rows[-1]["train_loss"], **scores})
    stage.done(f"wrote {FOLDER}; {scores['faithful']:.1%} of its titles say what the keywords before them say")


if __name__ == "__main__":
    run(main)

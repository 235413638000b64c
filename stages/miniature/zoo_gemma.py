"""The Gemma: learn to answer a title with three others of the same picture, or point to a released model."""

from pathlib import Path

import torch

from difflab.captioning.judging import metrics, outcomes_frame
from difflab.core.base.files import atomic_path
from difflab.core.base.runtime import resolve_device
from difflab.core.base.stage import Stage, run
from difflab.miniature.params import ZooGemmaInputs
from difflab.miniature.zoo import small_gemma
from difflab.models.language.chat_model import ChatModel
from difflab.models.params import GenerationParams
from difflab.models.pointers import point_to
from difflab.models.title_variations import vary
from difflab.training.supervised import fit

FOLDER = Path("models/zoo/gemma")


def main(stage: Stage[ZooGemmaInputs]) -> None:
    params, seed = stage.params.zoo.gemma, stage.params.seed
    if point_to(stage, params.hub, FOLDER):
        return
    model, tokenizer = small_gemma.build(params, seed)
    model.to(resolve_device(stage.params.runtime.device))
    loss = small_gemma.batch_loss(model, tokenizer, params, seed)
    rows = fit(model, loss, params.training, scratch=stage.scratch(), log=stage.run.log_metrics, what="gemma")
    with atomic_path(FOLDER) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    scores = evaluate(FOLDER, params.evaluated, seed, model.device)
    stage.write_metrics("metrics/zoo_gemma.json", {"train_loss": rows[-1]["train_loss"], **scores})
    stage.done(f"wrote {FOLDER}, {scores['accepted']:.1%} of its answers on held-out pictures are three titles")


def evaluate(folder: Path, count: int, seed: int, device: torch.device) -> dict[str, float | int]:
    """Ask the saved model once for variations of `count` titles of held-out pairs.

    Returns:
        n; accepted, the share of answers that give three variations; faithful and distinct as in `judging.metrics`.
    """
    settings = GenerationParams(batch_size=64, max_new_tokens=64, do_sample=True, temperature=0.7, top_p=0.9)
    model, sources = ChatModel(folder, device, torch.float32), small_gemma.held_out_titles(count, seed)
    values = metrics(outcomes_frame(vary(model, sources, settings, seed, retries=0, max_length=100)))
    kept = {name: values[name] for name in ("faithful", "distinct")}
    return {"n": count, "accepted": values["varied"] / count, **kept}


if __name__ == "__main__":
    run(main)

"""Tune the best k blocks by each ranking, the worst k and random ones, and say whether the ranking predicted the gains."""

import time
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_csv, read_json, write_csv, write_json
from difflab.core.base.roles import load_transformer, resolve
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.sd3.artifacts.adapters import adapt, matched_modules, save_adapter
from difflab.sd3.artifacts.components import check_base
from difflab.sd3.artifacts.prompt_embeds import open_prompts
from difflab.sd3.blocks import tuning
from difflab.sd3.blocks.samples import first_examples
from difflab.sd3.params import TuneBlocksInputs
from difflab.sd3.sampling_curve import SamplingCurve
from difflab.sd3.training.adapted_base import load_base
from difflab.sd3.training.density import SigmaDensity
from difflab.sd3.training.flow_training import train_flow
from difflab.sd3.training.latents import open_latents
from difflab.training.seeds import Save, save_curve, train_all

RANKS = Path("plots/blocks/ranks.csv")
LISTED = ("blocks.seeds", "blocks.random_sets")  # what lists the trainings: those that are there are kept


def main(stage: Stage[TuneBlocksInputs]) -> None:
    params, settings = stage.params, stage.params.blocks
    scratch = stage.scratch()
    if not RANKS.is_file():
        raise DifflabError(f"{RANKS} is missing: run `dvc repro rank_blocks`")
    ranked = read_csv(RANKS)
    importance = {str(way): rows["importance"].tolist() for way, rows in ranked.groupby("way", sort=False)}
    plan = tuning.planned(importance, settings.k, settings.random_sets, params.seed)
    store, latents, prompts = ImageStore("data/celeba_hq"), open_latents(), open_prompts([settings.captions])
    train = first_examples(store, latents, prompts, "train", None, settings.captions)
    held_out = first_examples(store, latents, prompts, "val", settings.held_out_samples, settings.captions)
    base = resolve("models/zoo/transformer")
    components = {"vae": latents.vae, "text_encoders": prompts.text_encoders}
    check_base(base, components)
    loras = {
        blocks: params.finetune.lora.model_copy(update={"blocks": list(blocks), "targets": settings.targets})
        for blocks in plan.sets
    }
    whole = load_transformer(base)
    count = tuning.same_size({b: trained_parameters(whole, lora) for b, lora in loras.items()})
    del whole
    warmup = min(params.finetune.training.lr_warmup_steps, settings.steps // 4)
    shorter = {"steps": settings.steps, "validation_interval": settings.steps, "lr_warmup_steps": warmup}
    training = params.finetune.training.model_copy(update=shorter)
    density = SigmaDensity(params.finetune.density, params.logit_mean[settings.logit_mean])

    def tune(blocks: tuning.Blocks, seed: int) -> Save:
        own_seed, name = rng.key(params.seed, "tune blocks", seed), training_name(blocks, seed)
        transformer = load_base(base, params.finetune.base, params.runtime)
        adapt(transformer, loras[blocks], own_seed)
        state = scratch / f"training-{name}"
        rows = train_flow(
            transformer, train, held_out, training, density,
            seed=own_seed, runtime=params.runtime, scratch=state, what=f"tune_blocks {name}",
        )  # fmt: skip
        losses = {"before": rows[0]["val_loss"], "after": rows[-1]["val_loss"]}

        def write(folder: Path) -> None:
            save_adapter(folder / "model", transformer, loras[blocks], components)
            save_curve(folder, rows)
            write_json(folder / "result.json", losses)

        return write

    cells = [(blocks, seed) for seed in settings.seeds for blocks in plan.sets]
    named = {training_name(*cell): partial(tune, *cell) for cell in cells}
    folders = train_all(named, kept=stage.kept(*LISTED), scratch=scratch, what="tune_blocks", log=stage.run.log_metrics)
    machine = params.runtime.model_copy(update={"compile": False})
    curve = SamplingCurve(settings, params.generate, params.score, machine, params.seed, scratch)
    for number, (blocks, seed) in enumerate(cells):
        folder = folders[training_name(blocks, seed)]
        while not folder.exists():  # the main process of a launcher saves it
            time.sleep(0.2)
        curve.measure(seed, folder / "model", params.generate.guidance_scale, cell=number)
    if not curve.rows:
        return
    table = joined(cells, plan, folders, curve.rows, count)
    write_csv("plots/blocks/tuning.csv", table)
    found = tuning.metrics(plan, importance, table)
    facts = {"trained_parameters": count, "k": settings.k, "sets": len(plan.sets), "trainings": len(settings.seeds)}
    stage.write_metrics("metrics/tune_blocks.json", facts | found)
    said = ", ".join(f"{way} {found[f'{way}_verdict']}" for way in plan.top)
    stage.done(f"wrote plots/blocks/tuning.csv; {said}")


def training_name(blocks: tuning.Blocks, seed: int) -> str:
    return f"blocks-{'-'.join(map(str, blocks))}-seed-{seed}"


def trained_parameters(transformer: torch.nn.Module, lora) -> int:
    """How many parameters an adapter has, before there is one."""
    layers = [transformer.get_submodule(name) for name in matched_modules(transformer, lora)]
    return sum(lora.rank * (layer.in_features + layer.out_features) for layer in layers)


def joined(
    cells: list[tuple[tuning.Blocks, int]], plan: tuning.Plan, folders: dict[str, Path], rows: list[dict], count: int
) -> pd.DataFrame:
    """The table of all trainings: what the sets are, what the loss gained, and the scores of the pictures."""
    table = []
    for (blocks, seed), row in zip(cells, rows, strict=True):
        losses = read_json(folders[training_name(blocks, seed)] / "result.json")
        gain = losses["before"] - losses["after"]
        scores = {name: value for name, value in row.items() if name not in ("cell", "seed")}
        facts = {"blocks": tuning.shown(blocks), "roles": plan.roles(blocks), "seed": seed, "trained_parameters": count}
        table.append({**facts, "val_loss": losses["after"], tuning.GAIN: gain, **scores})
    return pd.DataFrame(table)


if __name__ == "__main__":
    run(main)

"""Fine-tune the base with LoRA on one kind of captions, with one mean of the logit-normal density: one adapter a seed.

Trained on both kinds, as published, a sample has a random one of them in each epoch; held-out losses are of the first.

A finished seed is kept: a longer list of seeds, or a run that was stopped, trains only those that are missing.
"""

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from difflab.core.base import rng, runtime
from difflab.core.base.files import atomic_path, read_json, write_csv, write_json
from difflab.core.base.roles import resolve
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.sd3.artifacts.adapters import adapt, save_adapter
from difflab.sd3.artifacts.cells import BOTH, OWN, PUBLISHED, kinds
from difflab.sd3.artifacts.components import check_base
from difflab.sd3.artifacts.prompt_embeds import open_prompts
from difflab.sd3.params import FinetuneInputs
from difflab.sd3.training.adapted_base import load_base
from difflab.sd3.training.balance import balance_weights
from difflab.sd3.training.density import SigmaDensity, quantiles
from difflab.sd3.training.examples import Examples, caption_rows
from difflab.sd3.training.flow_training import train_flow
from difflab.sd3.training.latents import open_latents
from difflab.training.curve import CURVE_GAPS, final_metrics
from difflab.training.seeds import Save, save_curve, seed_curves, seed_log, seed_metrics, train_seeds

SHARED = ("step", "samples_seen", "val_loss_pretrained", "trained_parameters", "adapted_layers")  # by all seeds


def main(stage: Stage[FinetuneInputs], *, captions: str, logit_mean: str) -> None:
    params, cell = stage.params.finetune, f"{captions}-{logit_mean}"
    scratch = stage.scratch()  # refuses a second process before anything is loaded
    if captions == OWN and OWN not in kinds():
        write_nothing(cell)
        stage.write_metrics(f"metrics/finetune/{cell}.json", {"trainings": 0})
        return stage.done(f"nothing to train: no picture came with a caption; wrote an empty models/finetune/{cell}")
    density = SigmaDensity(params.density, stage.params.logit_mean[logit_mean])
    examples, held_out = load_examples(stage, captions)
    base = resolve("models/zoo/transformer")
    components = {"vae": examples.latents.vae, "text_encoders": examples.prompts.text_encoders}
    check_base(base, components)

    def train(seed: int) -> Save:
        own_seed = rng.key(stage.params.seed, "finetune", seed)  # the same for all cells: they are paired by it
        state = scratch / f"training-{seed}"
        transformer = load_base(base, params.base, stage.params.runtime)
        modules = adapt(transformer, params.lora, own_seed)
        save = partial(save_adapter, settings=params.lora, components=components)
        rows = train_flow(
            transformer,
            examples,
            held_out,
            params.training,
            density,
            seed=own_seed,
            runtime=stage.params.runtime,
            scratch=state,
            what=f"finetune {cell}-{seed}",
            log=seed_log(stage.run.log_metrics, seed),
            save_steps=params.adapter_steps,
            save=save,
        )
        result = final_metrics(rows) | {"val_loss_pretrained": rows[0]["val_loss"], "adapted_layers": len(modules)}
        result |= {"trained_parameters": sum(p.numel() for p in transformer.parameters() if p.requires_grad)}

        def write(folder: Path) -> None:
            save(folder / "model", transformer)
            for snapshot in sorted(state.glob("step-*")):
                shutil.copytree(snapshot, folder / "model" / "checkpoints" / snapshot.name)
            save_curve(folder, rows)
            write_json(folder / "result.json", result)

        return write

    kept, log = stage.kept("finetune.seeds"), stage.run.log_metrics
    folders = train_seeds(params.seeds, train, kept=kept, scratch=scratch, what=f"finetune {cell}", log=log)
    if runtime.process_index()[0] > 0:  # the main process writes
        return
    metrics = join(cell, folders)
    first = rng.key(stage.params.seed, "finetune", min(folders))
    metrics |= {"train_images": len(examples), **quantiles(density, examples.sigmas(density, first))}
    stage.write_metrics(f"metrics/finetune/{cell}.json", metrics)
    losses = f"mean held-out loss {metrics['val_loss_pretrained']:.4f} -> {metrics['val_loss']:.4f}"
    stage.done(f"wrote models/finetune/{cell}, {len(folders)} trainings, {losses}")


def write_nothing(cell: str) -> None:
    """The outputs of a cell without captions: no adapter, and a curve without a point."""
    with atomic_path(f"models/finetune/{cell}") as models:
        models.mkdir()
    write_csv(f"plots/finetune/{cell}.csv", pd.DataFrame(columns=["step", "seed", "train_loss", "val_loss"]))


def join(cell: str, folders: Mapping[int, Path]) -> dict[str, float]:
    """Write the adapters and curves of all seeds; returns their metrics, means over seeds and each seed's own."""
    with atomic_path(f"models/finetune/{cell}") as models:
        for seed, folder in folders.items():
            shutil.copytree(folder / "model", models / f"seed-{seed}")
    write_csv(f"plots/finetune/{cell}.csv", seed_curves(folders), gaps=CURVE_GAPS)
    results = {seed: read_json(folder / "result.json") for seed, folder in folders.items()}
    shared = {name: results[min(results)][name] for name in SHARED}
    own = {s: {name: value for name, value in found.items() if name not in shared} for s, found in results.items()}
    return {"trainings": len(folders), **shared, **seed_metrics(own)}


def load_examples(stage: Stage[FinetuneInputs], captions: str) -> tuple[Examples, Examples]:
    """The training images (with the extra CelebA images, where wanted) and the first validation images."""
    params = stage.params.finetune
    kinds = PUBLISHED if captions == BOTH else (captions,)
    latents, prompts = open_latents(), open_prompts(kinds)
    stores = [ImageStore("data/celeba_hq")]
    if params.add_celeba:
        stores.append(ImageStore("data/celeba"))
    ids = []
    for store in stores:
        ids += store.split("train")
        latents.check_images(store, store.split("train"))
    held_out = stores[0].split("val")[: params.validation_samples]
    latents.check_images(stores[0], held_out)
    weights = None
    if stage.params.balance.enabled:
        attributes = pd.concat([store.attributes for store in stores]).loc[ids]
        weights = torch.from_numpy(balance_weights(attributes.to_numpy(), stage.params.balance))
    return (
        Examples(latents, prompts, ids, caption_rows(prompts, ids, *kinds), weights),
        Examples(latents, prompts, held_out, caption_rows(prompts, held_out, *kinds)),
    )


if __name__ == "__main__":
    run(main, split=True)

"""Fine-tune the base with LoRA on one kind of captions, with one mean of the logit-normal density."""

import shutil
from pathlib import Path

import pandas as pd
import torch

from difflab.core.base import rng, runtime
from difflab.core.base.files import atomic_path, write_csv
from difflab.core.stage import Stage, run
from difflab.images.store.image_store import ImageStore
from difflab.models.lora import add_lora, save_lora
from difflab.models.roles import resolve
from difflab.sd3.balance import balance_weights
from difflab.sd3.caches.latents import LatentTable
from difflab.sd3.caches.prompt_embeds import PromptTable
from difflab.sd3.params.inputs import FinetuneInputs
from difflab.sd3.training.density import SigmaDensity, quantiles
from difflab.sd3.training.examples import Examples, caption_rows
from difflab.sd3.training.flow_training import train_flow

BASE, LATENTS, PROMPTS = "models/zoo/transformer", "data/latents", "data/prompt_embeds"
HQ, ADD_ON = "data/celeba_hq", "data/celeba"


def main(stage: Stage[FinetuneInputs], *, captions: str, logit_mean: str) -> None:
    params = stage.params.finetune
    scratch = stage.scratch()  # refuses a second process before anything is loaded
    seed = rng.key(stage.params.seed, "finetune", params.seed)
    cell = f"{captions}-{logit_mean}"
    density = SigmaDensity(params.density, stage.params.logit_mean[logit_mean])
    examples, held_out = load_examples(stage, captions)
    transformer = load_base(stage.params.runtime.dtype)
    modules = add_lora(transformer, params.lora, seed)

    rows = train_flow(
        transformer,
        examples,
        held_out,
        params.training,
        density,
        seed=seed,
        runtime=stage.params.runtime,
        scratch=scratch,
        what=f"finetune {cell}",
        log=lambda step, values: stage.run.log_metrics(values, step=step),
        save_steps=params.adapter_steps,
        save=lambda folder, trained: save_lora(folder, trained, params.lora),
    )
    if runtime.process_index()[0] != 0:  # a further process of a launcher: the main one writes
        return

    folder = Path("models/finetune") / cell
    with atomic_path(folder) as temporary:
        save_lora(temporary, transformer, params.lora)
        for snapshot in sorted(scratch.glob("step-*")):
            shutil.copytree(snapshot, temporary / "checkpoints" / snapshot.name)
    write_csv(f"plots/finetune/{cell}.csv", pd.DataFrame(rows))
    last = {name: value for name, value in rows[-1].items() if name != "lr"}
    metrics = {
        **last,
        "val_loss_pretrained": rows[0]["val_loss"],
        "trained_parameters": sum(p.numel() for p in transformer.parameters() if p.requires_grad),
        "adapted_layers": len(modules),
        "train_images": len(examples),
        **quantiles(density, examples.sigmas(density, seed)),
    }
    stage.write_metrics(f"metrics/finetune/{cell}.json", metrics)
    stage.run.log_artifact(f"plots/finetune/{cell}.csv")
    stage.done(f"wrote {folder}, held-out loss {rows[0]['val_loss']:.4f} -> {last['val_loss']:.4f}")


def load_examples(stage: Stage[FinetuneInputs], captions: str) -> tuple[Examples, Examples]:
    """The training images (with the add-on, where wanted) and the first validation images."""
    params = stage.params.finetune
    latents, prompts = LatentTable.load(LATENTS), PromptTable(PROMPTS)
    stores = [ImageStore(HQ), ImageStore(ADD_ON)] if params.add_celeba else [ImageStore(HQ)]
    chosen = [store.split("train") for store in stores]
    for store, part in zip(stores, chosen, strict=True):
        latents.check_images(store, part)
    ids = [id for part in chosen for id in part]
    weights = None
    if stage.params.balance.enabled:
        attributes = pd.concat([s.attributes.loc[part] for s, part in zip(stores, chosen, strict=True)])
        weights = torch.from_numpy(balance_weights(attributes.to_numpy(), stage.params.balance).weights)
    held_out = stores[0].split("val")[: params.validation_samples]
    return (
        Examples(latents, prompts, ids, caption_rows(prompts, ids, captions), weights),
        Examples(latents, prompts, held_out, caption_rows(prompts, held_out, captions)),
    )


def load_base(dtype: str) -> torch.nn.Module:
    from diffusers.models import SD3Transformer2DModel

    path = resolve(Path(BASE)) / "transformer"
    return SD3Transformer2DModel.from_pretrained(path, dtype=runtime.resolve_dtype(dtype))


if __name__ == "__main__":
    run(main)

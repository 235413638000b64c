"""Fine-tune the base with LoRA on one kind of captions, with one mean of the logit-normal density."""

import shutil
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from difflab.core.base import rng, runtime
from difflab.core.base.files import atomic_path, write_csv
from difflab.core.base.stage import Stage, run
from difflab.images.store.image_store import ImageStore
from difflab.models.roles import load_transformer, resolve
from difflab.sd3.artifacts.adapters import adapt, save_adapter
from difflab.sd3.artifacts.components import check_base
from difflab.sd3.artifacts.prompt_embeds import open_prompts
from difflab.sd3.params import FinetuneInputs
from difflab.sd3.training.balance import balance_weights
from difflab.sd3.training.density import SigmaDensity, quantiles
from difflab.sd3.training.examples import Examples, caption_rows
from difflab.sd3.training.flow_training import train_flow
from difflab.sd3.training.latents import open_latents
from difflab.training.curve import final_metrics


def main(stage: Stage[FinetuneInputs], *, captions: str, logit_mean: str) -> None:
    params = stage.params.finetune
    scratch = stage.scratch()  # refuses a second process before anything is loaded
    seed = rng.key(stage.params.seed, "finetune", params.seed)
    cell = f"{captions}-{logit_mean}"
    density = SigmaDensity(params.density, stage.params.logit_mean[logit_mean])
    examples, held_out = load_examples(stage, captions)
    base = resolve("models/zoo/transformer")
    components = {"vae": examples.latents.vae, "text_encoders": examples.prompts.text_encoders}
    check_base(base, components)
    transformer = load_transformer(base, dtype=runtime.resolve_dtype(stage.params.runtime.dtype))
    modules = adapt(transformer, params.lora, seed)
    save = partial(save_adapter, settings=params.lora, components=components)
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
        log=stage.run.log_metrics,
        save_steps=params.adapter_steps,
        save=save,
    )
    if runtime.process_index()[0] != 0:  # a further process of a launcher: the main one writes
        return

    folder = Path("models/finetune") / cell
    with atomic_path(folder) as temporary:
        save(temporary, transformer)
        for snapshot in sorted(scratch.glob("step-*")):
            shutil.copytree(snapshot, temporary / "checkpoints" / snapshot.name)
    write_csv(f"plots/finetune/{cell}.csv", pd.DataFrame(rows))
    last = final_metrics(rows)
    metrics = {
        **last,
        "val_loss_pretrained": rows[0]["val_loss"],
        "trained_parameters": sum(p.numel() for p in transformer.parameters() if p.requires_grad),
        "adapted_layers": len(modules),
        "train_images": len(examples),
        **quantiles(density, examples.sigmas(density, seed)),
    }
    stage.write_metrics(f"metrics/finetune/{cell}.json", metrics)
    stage.done(f"wrote {folder}, held-out loss {rows[0]['val_loss']:.4f} -> {last['val_loss']:.4f}")


def load_examples(stage: Stage[FinetuneInputs], captions: str) -> tuple[Examples, Examples]:
    """The training images (with the extra CelebA images, where wanted) and the first validation images."""
    params = stage.params.finetune
    latents, prompts = open_latents(), open_prompts([captions])
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
        Examples(latents, prompts, ids, caption_rows(prompts, ids, captions), weights),
        Examples(latents, prompts, held_out, caption_rows(prompts, held_out, captions)),
    )


if __name__ == "__main__":
    run(main)

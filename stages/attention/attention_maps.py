"""Look at real pictures with the base and with every adapter: where words attend to, and how patches cluster."""

from pathlib import Path

import pandas as pd

from difflab.attention import looks, sheets
from difflab.attention.noised import Seen, looked_at
from difflab.attention.params import AttentionMapsInputs
from difflab.attention.pictures import Picture, load_tokenizers, pictures
from difflab.core.base import rng, roles
from difflab.core.base.files import png_bytes, read_json, write_bytes, write_csv
from difflab.core.base.runtime import progress
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.captions import read_captions
from difflab.core.base.store.image_store import ImageStore
from difflab.datasets import data_set_of
from difflab.images.archives.opening import open_source
from difflab.models.sampling.latent_images import initial_noise
from difflab.sd3.artifacts.cells import ADAPTERS, PRETRAINED, adapter_folder
from difflab.sd3.artifacts.prompt_embeds import FOLDER, TEXT, open_prompts
from difflab.sd3.sampling import Generator, load_generator
from difflab.sd3.training.latents import LatentTable, open_latents


def main(stage: Stage[AttentionMapsInputs]) -> None:
    params, settings = stage.params, stage.params.attention_maps
    generator = load_generator(open_prompts([settings.captions]), params.runtime, params.seed, settings.batch_size)
    store, latents, size = ImageStore("data/celeba_hq"), open_latents(), generator.transformer.config.sample_size
    shown = captioned(store, store.split(params.generate.split)[: settings.num_images], stage, generator)
    latents.check_images(store, [picture.id for picture in shown])
    if latents.shape[1:] != (size, size):
        raise sheets.other_size(latents.shape[1:], size)
    trainings, rows, kept = sorted(params.finetune.seeds), [], []
    cells = [(model, training) for model in ADAPTERS for training in trainings]
    for model, training in progress(cells, total=len(cells), desc="attention", unit="model"):
        found, drawn = look(generator, latents, shown, model, training, stage)
        made = looks.rows(shown, found, generator.scheduler.sigmas[:-1].tolist(), settings)
        rows += [{"model": model, "training": training, **row} for row in made]
        if training == trainings[0] and model in ADAPTERS[:2]:
            kept.append(drawn)
    table = pd.DataFrame(rows, columns=looks.COLUMNS)
    write_csv("plots/attention_maps.csv", table, gaps=looks.GAPS)
    withheld = data_set_of(store.attributes.columns).people and not params.score.real_faces
    figure = sheets.before_after(store, shown, kept, table, settings, withheld)
    write_bytes("plots/attention_maps.png", png_bytes(figure))
    metrics = {"n": len(shown), "coverage": settings.coverage, "trainings": len(trainings)}
    metrics |= looks.references(shown, settings) | looks.summarise(table)
    stage.write_metrics("metrics/attention_maps.json", metrics)
    stage.done(f"wrote plots/attention_maps.png and .csv{looks.headline(metrics)}")


def captioned(
    store: ImageStore, ids: list[str], stage: Stage[AttentionMapsInputs], generator: Generator
) -> list[Picture]:
    """The pictures with their captions and masks; the text is as long as in training."""
    parts = data_set_of(store.attributes.columns).parts
    archive = open_source("data/raw/celeba_hq", stage.params.data.data_root) if parts else None
    captions = read_captions(f"data/captions/{stage.params.attention_maps.captions}.parquet").set_index("id")["caption"]
    meta, config = read_json(FOLDER / "meta.json"), generator.transformer.config
    tokenizers = load_tokenizers(roles.resolve(TEXT), meta["clip_length"], meta["max_sequence_length"])
    side = config.sample_size // config.patch_size
    return pictures({id: captions[id] for id in ids}, parts, archive, (side, side), tokenizers)


def look(
    generator: Generator,
    latents: LatentTable,
    shown: list[Picture],
    model: str,
    training: int,
    stage: Stage[AttentionMapsInputs],
) -> tuple[list[dict[str, looks.Scores]], dict[int, Seen]]:
    """One model's scores of all pictures, with the noise of one training, and its look at those that are drawn."""
    settings, found, kept = stage.params.attention_maps, [], {}
    drawn = sheets.drawn(shown, settings.shown)
    tuned = adapter_folder(settings.trained_on, model, training)
    generator.use_adapter(None if model == PRETRAINED else Path(tuned))
    for start in range(0, len(shown), settings.batch_size):
        part = shown[start : start + settings.batch_size]
        ids = [picture.id for picture in part]
        clean = latents.mode(latents.rows(ids))
        noise = initial_noise(ids, latents.shape, generator.seed, rng.key(training, "attention"))
        prompts = generator.prompts.gather(generator.prompts.rows(ids, settings.captions))
        given = [tensor.to(generator.vae.device) for tensor in (clean, noise, *prompts)]
        words = [[s.positions for s in picture.parts.values()] for picture in part]
        seen = looked_at(
            generator.transformer, generator.scheduler, settings.num_inference_steps, *given, words=words, ids=ids
        )
        for n, one in enumerate(seen, start=start):
            found.append(looks.scored(shown[n], one, settings))
            if n in drawn:
                kept[n] = one
    return found, kept


if __name__ == "__main__":
    run(main)

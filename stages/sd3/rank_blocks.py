"""Take each block of the base away in four ways, and rank the blocks by what that does to held-out loss and pictures."""

import warnings
from functools import partial

import numpy as np

from difflab.core.base.files import write_csv
from difflab.core.base.sharding import process_chunks
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.metrics.images.distances import RankDeficientWarning, frechet_distance
from difflab.sd3.artifacts.prompt_embeds import open_prompts
from difflab.sd3.blocks import ranking
from difflab.sd3.blocks.effects import Bench, by_cell, cell_names
from difflab.sd3.blocks.samples import first_examples
from difflab.sd3.params import RankBlocksInputs
from difflab.sd3.sampling import load_generator
from difflab.sd3.scoring.scores import load_judge
from difflab.sd3.training.latents import open_latents


def main(stage: Stage[RankBlocksInputs]) -> None:
    params, settings = stage.params, stage.params.blocks
    scratch = stage.scratch()
    store, latents, prompts = ImageStore("data/celeba_hq"), open_latents(), open_prompts([settings.captions])
    held_out, train = (
        first_examples(store, latents, prompts, split, count, settings.captions)
        for split, count in (("val", settings.held_out_samples), ("train", settings.mean_samples))
    )
    ids = store.split(params.generate.split)[: settings.ablated_images]
    machine = params.runtime.model_copy(update={"compile": False})  # hooks and compiled blocks do not mix
    sampling = params.seed, params.generate.batch_size, params.generate.vae
    generator = load_generator(prompts, machine, *sampling)
    judge = load_judge(store, params.score, machine.device, params.seed, generator.side)
    bench = Bench(generator, judge, held_out, train, ids, settings, params.generate, machine)
    names = cell_names(len(generator.transformer.transformer_blocks))
    paths = process_chunks(
        names, 1, scratch, lambda cell, path: bench.look(*cell).save(path), what="cell", suffix=".safetensors"
    )
    if paths is None:  # a further process of a launcher: the main one writes
        return
    cells = by_cell(paths, names)
    found = ranking.effects(cells, partial(distance, reference=judge.reference))
    importance = ranking.importances(cells)
    ranked, pairs = ranking.ranking(importance, params.seed), ranking.agreement(importance, params.seed)
    write_csv("plots/blocks/effects.csv", found)
    write_csv("plots/blocks/ranks.csv", ranked)
    write_csv("plots/blocks/agreement.csv", pairs)
    facts = {"blocks": len(generator.transformer.transformer_blocks), "held_out_n": len(held_out), "n": len(ids)}
    stage.write_metrics("metrics/rank_blocks.json", facts | ranking.metrics(found, ranked, pairs))
    first = ranked[ranked["rank"] == 1].set_index("way")["block"]
    stage.done(f"wrote plots/blocks; the first block by {', '.join(f'{way} {block}' for way, block in first.items())}")


def distance(features: np.ndarray, reference: np.ndarray) -> float:
    """FID; that a tenth is left out is no reason for a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankDeficientWarning)
        return frechet_distance(features, reference)


if __name__ == "__main__":
    run(main)

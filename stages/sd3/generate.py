"""Generate images for held-out prompts of both kinds, by the base or by the adapters of one logit mean."""

from pathlib import Path

import numpy as np

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path
from difflab.core.stage import Stage, run
from difflab.images.generated_reader import GeneratedImages
from difflab.images.grid import grid
from difflab.images.store.image_store import ImageStore
from difflab.sd3.caches.prompt_embeds import open_prompts
from difflab.sd3.params.inputs import GenerateInputs
from difflab.sd3.sampling.generation import generate_archive
from difflab.sd3.sampling.generator import load_generator

ADAPTERS = ("pretrained", "minus", "zero", "plus")
CAPTIONS = ("blip2", "llama3")


def main(stage: Stage[GenerateInputs], *, adapter: str) -> None:
    if adapter not in ADAPTERS:
        raise DifflabError(f"unknown adapter '{adapter}': one of {', '.join(ADAPTERS)}")
    settings = stage.params.generate
    ids = ImageStore("data/celeba_hq").split(settings.split)[: settings.num_images]
    prompts = open_prompts(CAPTIONS)
    generator = load_generator(prompts, stage.params.runtime, stage.params.seed, settings.batch_size)
    folder = Path("data/generated") / adapter
    for captions in CAPTIONS:
        if adapter != "pretrained":
            generator.use_adapter(Path("models/finetune") / f"{captions}-{adapter}")
        archive = folder / f"{captions}.zip"
        if generate_archive(archive, generator, ids, captions, settings, stage.scratch()):
            picture = Path("plots/grids") / f"{adapter}-{captions}.png"
            shown = GeneratedImages(archive).read(settings.seeds[0], ids[: settings.grid_images])
            with atomic_path(picture) as temporary:
                grid(list(map(np.asarray, shown)), ncols=8).save(temporary)
    count = len(ids) * len(settings.seeds)
    stage.done(f"wrote {folder}, {count} images for each of {len(CAPTIONS)} kinds of captions")


if __name__ == "__main__":
    run(main)

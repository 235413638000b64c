"""Generate images for held-out prompts of both kinds, by the base or by the adapters of one logit mean."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from difflab.core.base.files import atomic_path
from difflab.core.base.sharding import process_chunks
from difflab.core.base.stage import Stage, run
from difflab.images.generated_reader import GeneratedImages
from difflab.images.generated_writer import grid, join_generated, write_generated
from difflab.images.store.image_store import ImageStore
from difflab.sd3.artifacts.prompt_embeds import open_prompts
from difflab.sd3.params import GenerateInputs, GenerateParams
from difflab.sd3.sampling import Generator, load_generator

CAPTIONS = ("blip2", "llama3")


def main(stage: Stage[GenerateInputs], *, adapter: str) -> None:
    settings = stage.params.generate
    ids = ImageStore("data/celeba_hq").split(settings.split)[: settings.num_images]
    prompts = open_prompts(CAPTIONS)
    generator = load_generator(prompts, stage.params.runtime, stage.params.seed, settings.batch_size)
    folder = Path("data/generated") / adapter
    for captions in CAPTIONS:
        if adapter != "pretrained":
            generator.use_adapter(Path("models/finetune") / f"{captions}-{adapter}")
        archive = folder / f"{captions}.zip"
        if write_archive(archive, generator, ids, captions, settings, stage.scratch()):
            shown = GeneratedImages(archive).read(settings.seeds[0], ids[: settings.grid_images])
            with atomic_path(Path("plots/grids") / f"{adapter}-{captions}.png") as temporary:
                grid(list(map(np.asarray, shown)), ncols=8).save(temporary)
    count = len(ids) * len(settings.seeds)
    stage.done(f"wrote {folder}, {count} images for each of {len(CAPTIONS)} kinds of captions")


def write_archive(
    path: Path, generator: Generator, ids: Sequence[str], captions: str, settings: GenerateParams, scratch: Path
) -> bool:
    """Generate every id with every seed and write the archive, one seed after the other.

    Work is cut into batches, spread over processes and resumed from `scratch`, see `core.sharding`.

    Returns:
        Whether this is the main process, which wrote the archive; the others have nothing more to do.
    """
    parts: list[Path] = []
    for seed in settings.seeds:

        def generate(chunk: list[str], chunk_path: Path, seed: int = seed) -> None:
            sampling = settings.num_inference_steps, settings.guidance_scale
            write_generated(chunk_path, chunk, {seed: generator.images(chunk, captions, seed, *sampling)})

        what = f"{captions} seed {seed}"
        parts += process_chunks(ids, settings.batch_size, scratch, generate, what=what, suffix=".zip") or []
    if parts:
        join_generated(path, parts)
    return bool(parts)


if __name__ == "__main__":
    run(main)

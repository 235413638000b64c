"""Generate images for held-out prompts of every kind, by the base or by the adapters of one logit mean.

Each training has noise of its own; the base gets the noise of all of them.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from difflab.core.base.files import atomic_path
from difflab.core.base.sharding import process_chunks
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.images.generated.reader import GeneratedImages
from difflab.images.generated.writer import grid, join_generated, write_generated
from difflab.sd3.artifacts.cells import PRETRAINED, adapter_folder, archive_path, grid_path, kinds
from difflab.sd3.artifacts.prompt_embeds import open_prompts
from difflab.sd3.params import GenerateInputs, GenerateParams
from difflab.sd3.sampling import Generator, load_generator

BATCHES_PER_CHUNK = 4  # what a killed run loses at most, per process; a chunk's last pictures are encoded by themselves


def main(stage: Stage[GenerateInputs], *, adapter: str) -> None:
    settings, trainings = stage.params.generate, sorted(stage.params.finetune.seeds)
    ids = ImageStore("data/celeba_hq").split(settings.split)[: settings.num_images]
    sampling = stage.params.seed, settings.batch_size, settings.vae
    prompted = kinds()
    generator = load_generator(open_prompts(prompted), stage.params.runtime, *sampling)
    for captions in prompted:
        for training in trainings:
            if adapter != PRETRAINED:
                generator.use_adapter(adapter_folder(stage.params.trained_on[captions], adapter, training))
            archive = archive_path(adapter, captions, training)
            written = write_archive(archive, generator, ids, captions, training, settings, stage.scratch())
            if written and training == trainings[0]:
                first = GeneratedImages(archive).read(settings.seeds[0], ids[: settings.grid_images])
                with atomic_path(grid_path(adapter, captions)) as temporary:
                    grid(list(map(np.asarray, first)), ncols=8).save(temporary)
    count, cells = len(ids) * len(settings.seeds), f"{len(prompted)} kinds of captions and {len(trainings)} trainings"
    stage.done(f"wrote data/generated/{adapter}, {count} images for each of {cells}")


def write_archive(
    path: Path,
    generator: Generator,
    ids: Sequence[str],
    captions: str,
    training: int,
    settings: GenerateParams,
    scratch: Path,
) -> bool:
    """Generate every id in every draw of a training and write the archive, one draw after the other.

    Work is cut into chunks of batches, spread over processes and resumed from `scratch`, see `core.sharding`.

    Returns:
        Whether this is the main process, which wrote the archive; the others have nothing more to do.
    """
    parts: list[Path] = []
    chunk_size = settings.batch_size * BATCHES_PER_CHUNK
    for draw in settings.seeds:

        def generate(chunk: list[str], chunk_path: Path, draw: int = draw) -> None:
            sampling = settings.num_inference_steps, settings.guidance_scale
            write_generated(chunk_path, chunk, {draw: generator.images(chunk, captions, training, draw, *sampling)})

        what = f"{captions} training {training} draw {draw}"
        parts += process_chunks(ids, chunk_size, scratch, generate, what=what, suffix=".zip") or []
    if parts:
        join_generated(path, parts)
    return bool(parts)


if __name__ == "__main__":
    run(main, split=True)

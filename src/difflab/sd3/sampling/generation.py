"""The archive of one cell's generated images, made in resumable parts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from difflab.core.sharding import process_chunks
from difflab.images.generated_writer import join_generated, write_generated

if TYPE_CHECKING:
    from difflab.sd3.params.sampling import GenerateParams
    from difflab.sd3.sampling.generator import Generator


def generate_archive(
    path: str | Path,
    generator: "Generator",
    ids: Sequence[str],
    variant: str,
    settings: "GenerateParams",
    scratch: Path,
) -> bool:
    """Generate every id with every seed of `settings` and write the archive, one seed after the other.

    Work is cut into batches, spread over processes and resumed from `scratch`, see `core.sharding`.

    Returns:
        Whether this is the main process, which wrote the archive; the others have nothing more to do.
    """
    parts: list[Path] = []
    for seed in settings.seeds:

        def generate(chunk: list[str], chunk_path: Path, seed: int = seed) -> None:
            batches = generator.images(
                chunk,
                variant,
                generation_seed=seed,
                num_inference_steps=settings.num_inference_steps,
                guidance_scale=settings.guidance_scale,
            )
            write_generated(chunk_path, chunk, {seed: (image for batch in batches for image in batch)})

        done = process_chunks(
            ids, settings.batch_size, scratch, generate, what=f"{Path(path).stem} seed {seed}", suffix=".zip"
        )
        parts += done or []
    if not parts:
        return False
    join_generated(path, parts)
    return True

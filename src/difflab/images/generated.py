"""Archives of generated images: a zip of PNG files, `seed-<generation seed>/<sample id>.png`."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from difflab.core.base.files import png_bytes, write_zip
from difflab.core.sharding import process_chunks

if TYPE_CHECKING:
    from difflab.sd3.params.sampling import GenerateParams
    from difflab.sd3.sampling.generator import Generator


def write_generated(
    path: str | Path,
    generator: "Generator",
    ids: Sequence[str],
    variant: str,
    settings: "GenerateParams",
    scratch: Path,
) -> bool:
    """Generate every id with every seed of `settings` and write the archive, one seed after the other.

    Work is cut into batches, spread over processes and resumed from `scratch`, see `store.sharding`.

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
            images = [image for batch in batches for image in batch]
            write_images(chunk_path, chunk, images, seed)

        done = process_chunks(
            ids, settings.batch_size, scratch, generate, what=f"{Path(path).stem} seed {seed}", suffix=".zip"
        )
        parts += done or []
    if not parts:
        return False
    write_zip(path, (entry for part in parts for entry in _entries(part)))
    return True


def write_images(path: str | Path, ids: Sequence[str], images: Sequence[np.ndarray], seed: int) -> None:
    """Write uint8 images [H, W, 3] as PNG entries."""
    named = zip(ids, images, strict=True)
    write_zip(path, ((f"seed-{seed}/{id}.png", png_bytes(Image.fromarray(image))) for id, image in named))


def read_images(path: str | Path, ids: Sequence[str], seed: int) -> list[np.ndarray]:
    """Some images of an archive, uint8 [H, W, 3]."""
    with zipfile.ZipFile(path) as archive:
        return [np.asarray(Image.open(io.BytesIO(archive.read(f"seed-{seed}/{id}.png")))) for id in ids]


def _entries(path: Path):
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            yield name, archive.read(name)

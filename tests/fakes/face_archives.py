"""Small archives in the official layouts, with anything wrong with them that a test asks for."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from difflab.captioning.params import MixParams
from difflab.images.params import BalanceParams, PrepareParams, SplitParams

NAMES = ("Male", "Smiling", "Bald")


def split_params(**changes) -> SplitParams:
    values = dict(val_fraction=0.1, test_fraction=0.1, seed=42, stratify={}, max_rows=None) | changes
    values["stratify"] = {"miniature": (), "celeba": NAMES[:1]} | values["stratify"]
    return SplitParams(**values)


def prepare_params(**changes) -> PrepareParams:
    values = dict(absent_images="error", unreadable_images="stop", min_side=8, max_celeba_images=None, num_workers=1)
    return PrepareParams(**values | changes)


def mix_params(**changes) -> MixParams:
    defaults = dict(val_fraction=0.1, test_fraction=0.1, max_hamming_distance=8, min_correlation=0.96)
    return MixParams(**defaults | changes)


def balance_params(**changes) -> BalanceParams:
    """The published programme."""
    values = dict(enabled=True, target=0.5, minimum=0.2, maximum=5.0, mean_penalty=1000.0, spread_penalty=1.3)
    return BalanceParams(**values | changes)


def jpeg(width: int, height: int, seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=95)
    return buffer.getvalue()


def attribute_table(files: list[str], count: int | None = None, seed: int = 1) -> str:
    rng = np.random.default_rng(seed)
    rows = [f"{file}  " + " ".join(" 1" if v else "-1" for v in rng.random(len(NAMES)) < 0.5) for file in files]
    return "\n".join([str(len(files) if count is None else count), " ".join(NAMES), *rows]) + "\n"


def write_members(path: Path, members: dict[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def celeba_hq_members(images: dict[int, bytes], count: int) -> dict[str, bytes | str]:
    """CelebAMask-HQ of `count` table rows and these images; HQ n was CelebA's image n + 1."""
    mapping = ["idx        orig_idx    orig_file"] + [f"{n}  {n}  {n + 1:06d}.jpg" for n in range(count)]
    return {
        "CelebAMask-HQ/CelebAMask-HQ-attribute-anno.txt": attribute_table([f"{n}.jpg" for n in range(count)]),
        "CelebAMask-HQ/CelebA-HQ-to-CelebA-mapping.txt": "\n".join(mapping) + "\n",
        **{f"CelebAMask-HQ/CelebA-HQ-img/{n}.jpg": image for n, image in images.items()},
    }


def celeba_members(
    images: dict[int, bytes], count: int, boxes: dict[int, tuple[int, int, int, int]]
) -> dict[str, bytes | str]:
    lines = [str(len(boxes)), "image_id x_1 y_1 width height"]
    lines += [f"{n:06d}.jpg    {x}  {y}  {w}  {h}" for n, (x, y, w, h) in boxes.items()]
    return {
        "CelebA/Anno/list_attr_celeba.txt": attribute_table([f"{n:06d}.jpg" for n in range(1, count + 1)]),
        "CelebA/Anno/list_bbox_celeba.txt": "\n".join(lines) + "\n",
        **{f"CelebA/Img/img_celeba/{n:06d}.jpg": image for n, image in images.items()},
    }

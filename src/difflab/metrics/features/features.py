"""Images to feature vectors: the extractors behind Frechet and kernel distances, and the classes that they see.

An extractor has a `name`, a `dim`, a `resize` rule in words, the `ruler` that its weights are, its `device`, the
`classes` that it can see, and a call that maps uint8 images [n, H, W, 3] of one size to float32 features [n, dim].
"""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import save_file

from difflab.core.base.errors import DifflabError, Unreadable
from difflab.core.base.files import atomic_path, read_tensors, sha256_bytes
from difflab.core.base.roles import ruler
from difflab.core.base.runtime import full_float32, resolve_device
from difflab.core.base.store.tensors import check_finite, resized_square

if TYPE_CHECKING:
    from difflab.images.facts.data_set import ClassSet


class Extractor(Protocol):
    """What `extract` needs; `vision_encoder` and `inception` below make one."""

    name: str
    dim: int
    resize: str
    ruler: str
    device: torch.device
    classes: Mapping[str, tuple[str, ...]]

    def __call__(self, images: np.ndarray) -> np.ndarray: ...


def load_extractor(name: str, folder: Path, device: str = "cpu") -> Extractor:
    """The extractor `name` ("vision_encoder" or "inception") with its weights from its role folder."""
    if name == "vision_encoder":
        from difflab.core.base import roles

        resolved = roles.resolve(folder)
        return VisionEncoderExtractor(resolved, device, trained_here=resolved == folder)
    if name == "inception":
        from difflab.metrics.features.inception import InceptionExtractor

        return InceptionExtractor(folder, device)
    raise DifflabError(f"unknown feature extractor '{name}': vision_encoder or inception")


class VisionEncoderExtractor:
    """Features of the vision encoder of models/zoo, the network `vision_encoder`, whose heads judge classes."""

    name = "vision_encoder"

    def __init__(self, folder: Path, device: str = "cpu", *, trained_here: bool = True) -> None:
        from difflab.models.vision import vision_encoder

        self.device = resolve_device(device)
        self.vision_encoder = vision_encoder.load(folder, trained_here=trained_here).to(self.device).eval()
        self.dim, self.classes = self.vision_encoder.dim, self.vision_encoder.classes
        self.resize = self.vision_encoder.preprocess.rule
        self.ruler = ruler(folder)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.vision_encoder.features(self.tensor(images)).float().cpu().numpy()

    def tensor(self, images: np.ndarray) -> torch.Tensor:
        """uint8 [n, H, W, 3] to float32 [n, 3, S, S], as the network sees them, on its device."""
        return self.vision_encoder.preprocess(images).to(self.device)


def as_array(image) -> np.ndarray:
    """A PIL image (RGB or L) or an array as uint8 [H, W, 3]; features of another range would be wrong silently."""
    if not isinstance(image, np.ndarray):
        if image.mode not in ("RGB", "L"):
            raise DifflabError(f"an image has the mode {image.mode}: RGB is needed, as the decoder gives it")
        image = np.asarray(image.convert("RGB"))
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise DifflabError(f"an image is {image.dtype} {image.shape}: uint8 [H, W, 3] is needed")
    return image


def batches(images: Iterable, batch_size: int) -> Iterable[np.ndarray]:
    """uint8 batches [<=batch_size, H, W, 3] in order; a batch also ends where the size of the images changes."""
    batch: list[np.ndarray] = []
    for image in map(as_array, images):
        if batch and (len(batch) == batch_size or image.shape != batch[0].shape):
            yield np.stack(batch)
            batch = []
        batch.append(image)
    if batch:
        yield np.stack(batch)


def in_squares(images: Iterable, side: int | None) -> Iterable[np.ndarray]:
    """Pictures as uint8 [side, side, 3]: the centre square by PIL's antialiased bicubic filter, one rule for all sets.

    Raises:
        DifflabError: `side` is None and the pictures have several sizes, which a distance would measure.
    """
    first: tuple[int, ...] | None = None
    for image in images:
        array = as_array(image)
        if side is not None and array.shape[:2] != (side, side):
            array = np.asarray(resized_square(Image.fromarray(array), side))
        first = first or array.shape
        if array.shape != first:
            sizes = f"{first[1]} x {first[0]} and {array.shape[1]} x {array.shape[0]} pixels"
            raise DifflabError(f"pictures of {sizes} in one set: a distance needs one size, brought about by one rule")
        yield array


def extract(images: Iterable, extractor: Extractor, batch_size: int = 50, side: int | None = None) -> np.ndarray:
    """Features float32 [n, dim] of images (uint8 arrays [H, W, 3], an array [n, H, W, 3], or PIL), in order; finite.

    All have one size, or `side` gives the one that they are brought to (`in_squares`).

    Row i depends on image i only; the batch size changes it by float32 rounding (relative difference < 1e-5).
    """
    with full_float32():
        rows = [extractor(batch) for batch in batches(in_squares(images, side), batch_size)]
    features = np.concatenate(rows) if rows else np.zeros((0, extractor.dim), np.float32)
    if bad := np.flatnonzero(~np.isfinite(features).all(axis=1)).tolist():
        raise DifflabError(
            f"{len(bad)} of {len(features)} images have features that are not finite, first number {bad[0]}"
        )
    return features


def extract_and_classify(
    images: Iterable, extractor: "VisionEncoderExtractor", batch_size: int = 50, side: int | None = None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """What `extract` and `classify` give, in one pass over the images: no more than a batch is decoded at a time."""
    seen = _no_classes(extractor)

    def looked_at() -> Iterator[np.ndarray]:
        for batch in batches(in_squares(images, side), batch_size):
            _add_classes(seen, batch, extractor)
            yield from batch

    features = extract(looked_at(), extractor, batch_size)
    return features, _joined(seen)


def reference_features(
    store,
    ids: Sequence[str],
    extractor: Extractor,
    batch_size: int = 50,
    cache: Path | None = None,
    side: int | None = None,
) -> np.ndarray:
    """Features of real images of an `ImageStore`, float32 [len(ids), dim], kept under `cache` between runs.

    They are brought to `side` pixels, see `extract`.

    The file's name is a hash of the images', the extractor, the kind of device and the runtime: what changed is another
    file.
    """
    path = kept_path(store, ids, extractor, batch_size, cache, side)
    if (kept := kept_features(path, (len(ids), extractor.dim))) is not None:
        return kept
    images = (
        image for start in range(0, len(ids), batch_size) for image in store.read(ids[start : start + batch_size])
    )
    features = extract(images, extractor, batch_size, side)
    keep_features(path, features)
    return features


def kept_path(
    store, ids: Sequence[str], extractor: Extractor, batch_size: int, cache: Path | None = None, side: int | None = None
) -> Path:
    """Where `reference_features` keeps what it finds."""
    folder = cache or Path(os.environ.get("DVC_ROOT", ".")) / ".scratch" / "features"
    return folder / f"{_cache_key(store, ids, extractor, batch_size, side)}.safetensors"


def keep_features(path: Path, features: np.ndarray) -> None:
    with atomic_path(path) as temporary:
        save_file({"features": features}, temporary)


def kept_features(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """The features of an earlier run; None without, and with a warning for a damaged file or one of something else."""
    if not path.exists():
        return None
    try:
        features = read_tensors(path)["features"].numpy()
    except (Unreadable, KeyError, TypeError) as error:
        warnings.warn(f"{path} is damaged ({error}): its features are computed again", stacklevel=2)
        return None
    if features.shape != shape or not np.isfinite(features).all():
        warnings.warn(f"{path} is not what was kept: its features are computed again", stacklevel=2)
        return None
    return features


def _cache_key(store, ids: Sequence[str], extractor: Extractor, batch_size: int, side: int | None) -> str:
    made_by = [extractor.name, extractor.resize, extractor.ruler, batch_size, side, torch.__version__]
    made_by += [torch.get_num_threads(), torch.backends.cpu.get_cpu_capability(), _device_kind(extractor.device)]
    lines = [*map(str, made_by), *(f"{i} {store.sha256(i)}" for i in ids)]
    return sha256_bytes("\n".join(lines).encode())[:32]


def _device_kind(device: torch.device) -> str:
    """`cpu`, or the model of a GPU, by which features differ in their last digits."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def judged_classes(class_sets: "Sequence[ClassSet]", extractor: Extractor) -> "list[ClassSet]":
    """The class sets that the extractor can see: the vision encoder has a head for these very classes."""
    return [c for c in class_sets if extractor.classes.get(c.name) == c.columns]


def classify(images: Iterable, extractor: VisionEncoderExtractor, batch_size: int = 50) -> dict[str, np.ndarray]:
    """The class that each head of the vision encoder sees in each image: int64 [n] by head."""
    seen = _no_classes(extractor)
    for batch in batches(images, batch_size):
        _add_classes(seen, batch, extractor)
    return _joined(seen)


def _no_classes(extractor: VisionEncoderExtractor) -> dict[str, list[np.ndarray]]:
    return {name: [np.zeros(0, np.int64)] for name in extractor.classes}


@torch.inference_mode()
def _add_classes(seen: dict[str, list[np.ndarray]], batch: np.ndarray, extractor: VisionEncoderExtractor) -> None:
    for name, logits in extractor.vision_encoder(extractor.tensor(batch)).items():
        check_finite(logits, (), f"what the head '{name}' sees in picture", "look at the pictures and the encoder")
        seen[name].append(logits.argmax(dim=1).cpu().numpy())


def _joined(seen: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate(parts) for name, parts in seen.items()}


def share_correct(seen: np.ndarray, expected: np.ndarray) -> float | None:
    """The share of right classes among the samples that have one (expected >= 0); None when none has."""
    known = expected >= 0
    return float((seen[known] == expected[known]).mean()) if known.any() else None

"""Images to feature vectors: the extractors behind Frechet and kernel distances, and the classes that they see.

An extractor has a `name`, a `dim`, a `resize` rule in words, the `ruler` that its weights are, the `classes` that
it can see, and a call that maps uint8 images [n, H, W, 3] of one size to float32 features [n, dim].
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path, sha256_bytes
from difflab.core.base.runtime import resolve_device
from difflab.core.base.store.tensors import to_tensor
from difflab.models.rulers import ruler

if TYPE_CHECKING:
    from difflab.images.facts.data_set import ClassSet


class Extractor(Protocol):
    """What `extract` needs; `vision_encoder` and `inception` below make one."""

    name: str
    dim: int
    resize: str
    ruler: str
    classes: Mapping[str, tuple[str, ...]]

    def __call__(self, images: np.ndarray) -> np.ndarray: ...


def load_extractor(name: str, folder: Path, device: str = "cpu") -> Extractor:
    """The extractor `name` ("vision_encoder" or "inception") with its weights from its role folder."""
    if name == "vision_encoder":
        from difflab.models import roles

        return VisionEncoderExtractor(roles.resolve(folder), device)
    if name == "inception":
        from difflab.metrics.features.inception import InceptionExtractor

        return InceptionExtractor(folder, device)
    raise DifflabError(f"unknown feature extractor '{name}': vision_encoder or inception")


class VisionEncoderExtractor:
    """Features of the vision encoder of models/zoo, the network `vision_encoder`, whose heads judge classes."""

    name = "vision_encoder"

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        from difflab.models.vision import vision_encoder

        self.device = resolve_device(device)
        self.vision_encoder = vision_encoder.load(folder).to(self.device).eval()
        self.size = self.vision_encoder.image_size
        self.dim, self.classes = self.vision_encoder.dim, self.vision_encoder.classes
        self.resize = f"centre square, antialiased bicubic to {self.size}"
        self.ruler = ruler(folder)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.vision_encoder.features(self.tensor(images)).float().cpu().numpy()

    def tensor(self, images: np.ndarray) -> torch.Tensor:
        """uint8 [n, H, W, 3] to float32 [n, 3, S, S] in [-1, 1] on the vision encoder's device."""
        return to_tensor(images, self.size).to(self.device)


def as_array(image) -> np.ndarray:
    """A PIL image or an array as uint8 [H, W, 3]; features of floats in an unknown range would be wrong silently."""
    if not isinstance(image, np.ndarray):
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


def extract(images: Iterable, extractor: Extractor, batch_size: int = 50) -> np.ndarray:
    """Features float32 [n, dim] of images (uint8 arrays [H, W, 3], an array [n, H, W, 3], or PIL), in order.

    Row i depends on image i only; the batch size changes it by float32 rounding (relative difference < 1e-5).
    """
    rows = [extractor(batch) for batch in batches(images, batch_size)]
    return np.concatenate(rows) if rows else np.zeros((0, extractor.dim), np.float32)


def extract_and_classify(
    images: Iterable, extractor: "VisionEncoderExtractor", batch_size: int = 50
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """What `extract` and `classify` give, in one pass over the images: no more than a batch is decoded at a time."""
    seen = _no_classes(extractor)

    def looked_at() -> Iterator[np.ndarray]:
        for batch in batches(images, batch_size):
            _add_classes(seen, batch, extractor)
            yield from batch

    features = extract(looked_at(), extractor, batch_size)
    return features, _joined(seen)


def reference_features(
    store, ids: Sequence[str], extractor: Extractor, batch_size: int = 50, cache: Path | None = None
) -> np.ndarray:
    """Features of real images of an `ImageStore`, float32 [len(ids), dim], kept under `cache` between runs.

    The file's name is a hash of the images', the extractor and the runtime: what changed is another file.
    """
    folder = cache or Path(os.environ.get("DVC_ROOT", ".")) / ".scratch" / "features"
    path = folder / f"{_cache_key(store, ids, extractor, batch_size)}.safetensors"
    if path.exists():
        return load_file(path)["features"]
    images = (
        image for start in range(0, len(ids), batch_size) for image in store.read(ids[start : start + batch_size])
    )
    features = extract(images, extractor, batch_size)
    with atomic_path(path) as temporary:
        save_file({"features": features}, temporary)
    return features


def _cache_key(store, ids: Sequence[str], extractor: Extractor, batch_size: int) -> str:
    made_by = [extractor.name, extractor.resize, extractor.ruler, batch_size, torch.__version__]
    made_by += [torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()]
    lines = [*map(str, made_by), *(f"{i} {store.sha256(i)}" for i in ids)]
    return sha256_bytes("\n".join(lines).encode())[:32]


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
        seen[name].append(logits.argmax(dim=1).cpu().numpy())


def _joined(seen: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate(parts) for name, parts in seen.items()}


def share_correct(seen: np.ndarray, expected: np.ndarray) -> float | None:
    """The share of right classes among the samples that have one (expected >= 0); None when none has."""
    known = expected >= 0
    return float((seen[known] == expected[known]).mean()) if known.any() else None

"""The classes that the vision encoder sees in pictures, and how many of them are right."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from difflab.metrics.features.features import Extractor, VisionEncoderExtractor, batches

if TYPE_CHECKING:
    from difflab.images.facts.data_set import ClassSet


def judged_classes(class_sets: "Sequence[ClassSet]", extractor: Extractor) -> "list[ClassSet]":
    """The class sets that the extractor can see: the vision encoder has a head for these very classes."""
    return [c for c in class_sets if extractor.classes.get(c.name) == c.columns]


def classify(images: Iterable, extractor: VisionEncoderExtractor, batch_size: int = 50) -> dict[str, np.ndarray]:
    """The class that each head of the vision encoder sees in each image: int64 [n] by head."""
    import torch

    seen: dict[str, list[np.ndarray]] = {name: [np.zeros(0, np.int64)] for name in extractor.classes}
    with torch.inference_mode():
        for batch in batches(images, batch_size):
            for name, logits in extractor.vision_encoder(extractor.tensor(batch)).items():
                seen[name].append(logits.argmax(dim=1).cpu().numpy())
    return {name: np.concatenate(parts) for name, parts in seen.items()}


def share_correct(seen: np.ndarray, expected: np.ndarray) -> float | None:
    """The share of right classes among the samples that have one (expected >= 0); None when none has."""
    known = expected >= 0
    return float((seen[known] == expected[known]).mean()) if known.any() else None

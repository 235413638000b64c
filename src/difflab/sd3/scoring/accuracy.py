"""Does a generated image show the class of its prompt? The class comes from the attributes of the sample
id."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from difflab.metrics.features.features import VisionEncoderExtractor, batches

DIGITS = tuple(f"Digit_{k}" for k in range(10))


def has_digits(attributes: pd.DataFrame) -> bool:
    """Whether the attribute table names digits (the miniature does, the faces do not)."""
    return set(DIGITS) <= set(attributes.columns)


def expected_classes(attributes: pd.DataFrame, columns: Iterable[str] = DIGITS) -> np.ndarray:
    """The index of the one true column of each row, int64 [n]; -1 where none or several are true."""
    values = attributes[list(columns)].to_numpy(dtype=bool)
    return np.where(values.sum(axis=1) == 1, values.argmax(axis=1), -1)


def classify(
    images: Iterable, extractor: VisionEncoderExtractor, batch_size: int = 50
) -> tuple[np.ndarray, np.ndarray]:
    """The digit and the photograph that the vision encoder sees in each image: int64 [n], int64 [n]."""
    import torch

    digits, photos = [], []
    with torch.inference_mode():
        for batch in batches(images, batch_size):
            pixels = extractor.tensor(batch)
            digit_logits, photo_logits = extractor.vision_encoder(pixels)
            digits.append(digit_logits.argmax(dim=1).cpu().numpy())
            photos.append(photo_logits.argmax(dim=1).cpu().numpy())
    empty = np.zeros(0, np.int64)
    return np.concatenate(digits or [empty]), np.concatenate(photos or [empty])


def share_correct(predicted: np.ndarray, expected: np.ndarray) -> float | None:
    """The share of right classes among the samples that have one (expected >= 0); None when none has."""
    known = expected >= 0
    return float((predicted[known] == expected[known]).mean()) if known.any() else None

"""Do generated pictures show what their titles name? Judged by the vision encoder, for the titles of the miniature."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from difflab.captioning.judging import title_labels
from difflab.metrics.features.features import batches

if TYPE_CHECKING:
    from difflab.metrics.features.features import VisionEncoderExtractor


def title_accuracy(
    images: Iterable, titles: Sequence[str], extractor: "VisionEncoderExtractor"
) -> dict[str, float]:
    """Shares of pictures with the digit, with the photograph and with both of their titles.

    Each over the titles that name one. Empty where no title names a digit and a photograph, or where the vision
    encoder has no heads to classify them (a released ViT).
    """
    labels = title_labels(titles, extractor.vision_encoder.photo_names)
    if not all((one >= 0).any() for one in labels):
        return {}
    digits, photos = (
        (predicted == label, label >= 0)
        for predicted, label in zip(_classified(images, extractor), labels, strict=True)
    )
    known = digits[1] & photos[1]
    result = {
        "digit_accuracy": float(digits[0][digits[1]].mean()),
        "photo_accuracy": float(photos[0][photos[1]].mean()),
    }
    return result | ({"both_accuracy": float((digits[0] & photos[0])[known].mean())} if known.any() else {})


def _classified(images: Iterable, extractor: "VisionEncoderExtractor") -> tuple[np.ndarray, np.ndarray]:
    """The most likely digit and photograph of each image, int64 [n] each."""
    import torch

    found = []
    with torch.inference_mode():
        for batch in batches(images, batch_size=50):
            logits = extractor.vision_encoder(extractor.tensor(batch))
            found.append([head.argmax(dim=1).cpu().numpy() for head in logits])
    digits, photos = zip(*found, strict=True)
    return np.concatenate(digits), np.concatenate(photos)

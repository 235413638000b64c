"""Do pictures show what their titles name? For titles of a digit over a photograph, judged by the vision encoder."""

from collections.abc import Iterable, Sequence

import numpy as np

from difflab.metrics.features.features import VisionEncoderExtractor
from difflab.miniature.words.digit_titles import named
from difflab.sd3.scoring.accuracy import classify, share_correct


def expected(titles: Sequence[str], photo_names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The digit and the photograph (row of `photo_names`) that each title names, int64 [n] each; -1: none or several."""
    pairs = [named(title) for title in titles]
    digits = [-1 if digit is None else digit for digit, _ in pairs]
    photos = [-1 if photo not in photo_names else list(photo_names).index(photo) for _, photo in pairs]
    return np.array(digits, np.int64), np.array(photos, np.int64)


def title_accuracy(
    images: Iterable, titles: Sequence[str], extractor: VisionEncoderExtractor
) -> dict[str, float]:
    """Shares of pictures with the digit, with the photograph and with both of their titles.

    Each over the titles that name one. Empty where no title names a digit and a photograph, or where the vision encoder has
    no heads to see them by (a released ViT).
    """
    wanted = expected(titles, extractor.vision_encoder.photo_names)
    if not all((one >= 0).any() for one in wanted):
        return {}
    found = classify(images, extractor)
    shares = [share_correct(*pair) for pair in zip(found, wanted, strict=True)]
    known = (wanted[0] >= 0) & (wanted[1] >= 0)
    both = ((found[0] == wanted[0]) & (found[1] == wanted[1]))[known]
    result = {"digit_accuracy": shares[0], "photo_accuracy": shares[1]}
    return result | ({"both_accuracy": float(both.mean())} if known.any() else {})

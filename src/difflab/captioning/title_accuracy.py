"""Do pictures show what their titles name? For titles that name classes which the vision encoder can see."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from difflab.datasets import class_sets_of
from difflab.metrics.features.features import classify, judged_classes, share_correct

if TYPE_CHECKING:
    from difflab.metrics.features.features import VisionEncoderExtractor


def title_accuracy(
    images: Iterable, titles: Sequence[str], extractor: "VisionEncoderExtractor"
) -> dict[str, float | None]:
    """Shares of pictures with each class of their titles, and with all of them (`both_accuracy`).

    Each over the titles that name one. Empty where the titles are of no known data set, or where the vision encoder
    has no heads to see its classes by (a released ViT).
    """
    class_sets = judged_classes(class_sets_of(titles), extractor)
    if not class_sets:
        return {}
    seen = classify(images, extractor)
    found = np.stack([seen[classes.name] for classes in class_sets])
    wanted = np.array([[classes.named(title) for title in titles] for classes in class_sets], np.int64)
    shares = (share_correct(*pair) for pair in zip(found, wanted, strict=True))
    result = {f"{classes.name}_accuracy": share for classes, share in zip(class_sets, shares, strict=True)}
    known = (wanted >= 0).all(axis=0)
    return result | ({"both_accuracy": float((found == wanted).all(axis=0)[known].mean())} if known.any() else {})

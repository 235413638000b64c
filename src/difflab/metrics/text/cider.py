"""CIDEr-D: how much captions share the n-grams that tell their image apart from the others."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ORDERS = 4
SIGMA = 6.0
"""Of the Gaussian penalty on a difference in length, in words."""

Words = Sequence[str]
Ngram = tuple[str, ...]


@dataclass(frozen=True)
class _Vector:
    """TF-IDF weights of one sentence by n-gram, the norm of each order, and the number of words."""

    weights: list[dict[Ngram, float]]
    norms: list[float]
    length: int


class CiderD:
    """CIDEr-D (Vedantam, Zitnick and Parikh 2015) as the COCO caption evaluation computes it.

    Args:
        references: the references of each image, as words. Document frequencies are those of these images:
            the number of images with an n-gram in any of their references.
    """

    def __init__(self, references: Sequence[Sequence[Words]]) -> None:
        grams = [{gram for words in image for gram in _ngrams(words)} for image in references]
        self.frequency = Counter(gram for image in grams for gram in image)
        self.log_images = math.log(len(references))
        self.references = [[self._vector(words) for words in image] for image in references]

    def __call__(self, captions: Sequence[Words]) -> np.ndarray:
        """Scores in 0..10, float64 [images], of one caption for each image, in the order of the references."""
        scores = []
        for words, references in zip(captions, self.references, strict=True):
            caption = self._vector(words)
            scores.append(10 * sum(_similarity(caption, r) for r in references) / len(references))
        return np.array(scores, dtype=np.float64)

    def _vector(self, words: Words) -> _Vector:
        weights: list[dict[Ngram, float]] = [{} for _ in range(ORDERS)]
        for gram, count in _ngrams(words).items():
            rarity = self.log_images - math.log(max(1, self.frequency[gram]))
            weights[len(gram) - 1][gram] = count * rarity
        return _Vector(weights, [math.hypot(*w.values()) for w in weights], len(words))


def _ngrams(words: Words) -> Counter[Ngram]:
    """Counts of the n-grams of 1 to 4 words."""
    return Counter(tuple(words[i : i + n]) for n in range(1, ORDERS + 1) for i in range(len(words) - n + 1))


def _similarity(caption: _Vector, reference: _Vector) -> float:
    """Mean over the orders of the cosine with weights cut to the reference's, times the penalty of length."""
    cosines = []
    for own, other, norm, other_norm in zip(
        caption.weights, reference.weights, caption.norms, reference.norms, strict=True
    ):
        shared = sum(min(own[gram], other[gram]) * other[gram] for gram in own if gram in other)
        cosines.append(shared / (norm * other_norm) if norm and other_norm else 0.0)
    penalty = math.exp(-((caption.length - reference.length) ** 2) / (2 * SIGMA**2))
    return penalty * sum(cosines) / ORDERS

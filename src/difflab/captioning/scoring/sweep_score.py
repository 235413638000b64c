"""Scores of the cells of a sweep: what the pictures show of their titles, and how near they are to real ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from difflab.captioning.scoring.titled import title_accuracy
from difflab.metrics.clip_score import ClipScorer
from difflab.metrics.distances.kid import kernel_distance
from difflab.metrics.features.features import VisionEncoderExtractor, extract


@dataclass(frozen=True)
class SweepJudge:
    """What all cells are scored by.

    Attributes:
        extractor: names digits and photographs, and gives the features of KID; None: neither.
        reference: features of real pictures, float32 [n, d]; None: no KID.
        clip: None: no CLIP score.
        seed: of KID's subsets.
    """

    extractor: VisionEncoderExtractor | None
    reference: np.ndarray | None
    clip: ClipScorer | None
    seed: int

    def __call__(self, images: Sequence[np.ndarray], titles: Sequence[str]) -> dict[str, float]:
        """digit_accuracy, photo_accuracy, both_accuracy, kid and clip_score, those that can be had."""
        scores: dict[str, float] = {}
        if self.extractor is not None:
            scores |= title_accuracy(images, titles, self.extractor)
            if self.reference is not None:
                features = extract(images, self.extractor)
                scores["kid"] = kernel_distance(features, self.reference, seed=self.seed)
        if self.clip is not None:
            scores["clip_score"] = self.clip(images, titles)
        return scores

"""How near captions come to the references of their images: BLEU, ROUGE-L, METEOR, CIDEr-D.

All of them see the same words (`metrics.words`). BLEU is sacrebleu's, ROUGE-L rouge-score's, METEOR nltk's; CIDEr-D
is that of the COCO caption evaluation.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from difflab.core.base.errors import DifflabError
from difflab.metrics.words import words

if TYPE_CHECKING:
    import pandas as pd
    from sacrebleu.metrics import BLEU

MEASURES = ("bleu_1", "bleu_2", "rouge_l", "meteor_exact_stem", "cider_d")
CORPUS_MEASURES = ("bleu_1_corpus", "bleu_2_corpus")
ORDERS = 4  # of the n-grams of CIDEr-D
SIGMA = 6.0  # of its Gaussian penalty on a difference in length, in words
Words = Sequence[str]
Ngram = tuple[str, ...]


@dataclass(frozen=True)
class CaptionScores:
    """Scores of one set of captions, in 0..1 but for cider_d in 0..10.

    Attributes:
        ids: image ids, ascending.
        per_image: float64 [len(ids)] for each of `MEASURES`; BLEU is the sentence's own, without smoothing.
        corpus: means of `MEASURES`, and `CORPUS_MEASURES`: BLEU of counts that are summed over the images first.
    """

    ids: tuple[str, ...]
    per_image: dict[str, np.ndarray]
    corpus: dict[str, float]

    def frame(self) -> "pd.DataFrame":
        """`id` and a column for each of `MEASURES`."""
        import pandas as pd

        return pd.DataFrame({"id": self.ids, **self.per_image})


class CaptionScorer:
    """Scores captions against the references of a fixed set of images.

    Args:
        references: one or more references by image id; those without any word are left out.

    Raises:
        DifflabError: fewer than two images (CIDEr-D weighs words by how many images' references have them), or
            an image has no reference with a word, or what is no text.
    """

    def __init__(self, references: Mapping[str, Sequence[str]]) -> None:
        self.ids = tuple(sorted(references))
        if len(self.ids) < 2:
            raise DifflabError(
                f"captions of {len(self.ids)} images cannot be scored: CIDEr-D needs the references of two or more"
            )
        for id, texts in references.items():
            if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
                raise DifflabError(f"the references of {id} are no list of texts: {texts!r:.60}")
        found = {i: [tokens for text in references[i] if (tokens := words(text))] for i in self.ids}
        if bare := [i for i in self.ids if not found[i]]:
            raise DifflabError(
                f"{len(bare)} images have no reference, first {bare[0]}: leave them out of the scored set"
            )
        self.references = [found[i] for i in self.ids]
        self.cider = CiderD(self.references)
        self._bleu = {n: _bleu(n) for n in (1, 2)}
        self._seen: dict[tuple[int, Words], tuple[float, ...]] = {}  # captioners often agree

    def score(self, captions: Mapping[str, str], what: str = "captions") -> CaptionScores:
        """Scores of one caption for each image id; one without any word scores 0 in every measure.

        Raises:
            DifflabError: the captions, which the message calls `what`, are not those of exactly these images, or no texts.
        """
        for lack, ids in (
            ("have no caption", set(self.ids) - set(captions)),
            ("have a caption but no reference", set(captions) - set(self.ids)),
        ):
            if ids:
                raise DifflabError(
                    f"{what}: {len(ids)} images {lack}, first {min(ids)}: give exactly the scored images a caption"
                )
        if other := [i for i in self.ids if not isinstance(captions[i], str)]:
            raise DifflabError(
                f"{what}: that of {other[0]} is {captions[other[0]]!r}, no text: an empty one says that there is none"
            )
        predicted = [tuple(words(captions[i])) for i in self.ids]
        pairs = list(zip(predicted, self.references, strict=True))
        table = np.array([self._alone(number, caption) for number, caption in enumerate(predicted)], dtype=np.float64)
        arrays = dict(zip(MEASURES, table.T, strict=False))
        arrays["cider_d"] = self.cider(predicted)
        corpus = {name: float(values.mean()) for name, values in arrays.items()}
        corpus |= {f"bleu_{n}_corpus": _bleu_of(bleu, pairs) for n, bleu in self._bleu.items()}
        return CaptionScores(self.ids, arrays, corpus)

    def _alone(self, number: int, caption: Words) -> tuple[float, ...]:
        """The measures but CIDEr-D of a caption of the image at this place, in the order of `MEASURES`."""
        key = number, caption
        if key not in self._seen:
            pair = caption, self.references[number]
            bleu = (_bleu_of(metric, [pair]) for metric in self._bleu.values())
            self._seen[key] = (*bleu, rouge_l(*pair), meteor_exact_stem(*pair))
        return self._seen[key]


def rouge_l(caption: Words, references: Sequence[Words]) -> float:
    """F1 (beta 1) of the longest common subsequence of words, of the best reference (Lin 2004), in 0..1.

    The COCO evaluation weighs recall more (beta 1.2) and takes precision and recall from different references.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], tokenizer=_Blanks())
    found = scorer.score_multi([" ".join(r) for r in references], " ".join(caption))
    return float(found["rougeL"].fmeasure)


def meteor_exact_stem(caption: Words, references: Sequence[Words]) -> float:
    """METEOR of the best reference by exact and stem matches alone (Lavie and Agarwal 2007), in 0..1.

    The synonym matches of METEOR need WordNet, which is a download: without them it comes out lower. Parameters are
    nltk's (alpha .9, beta 3, gamma .5), by which an exact caption of m words has 1 - .5 / m^3.
    """
    from nltk.translate.meteor_score import meteor_score

    return float(meteor_score(references, caption, wordnet=cast("Any", _NoSynonyms())))


class _Vector(NamedTuple):  # of one sentence
    weights: list[dict[Ngram, float]]  # TF-IDF, for each order
    norms: list[float]  # of each order
    length: int  # in words


class CiderD:
    """CIDEr-D (Vedantam, Zitnick and Parikh 2015) as the COCO caption evaluation computes it.

    Args:
        references: of each image; the document frequency of an n-gram is the number of images that have it in any.
    """

    def __init__(self, references: Sequence[Sequence[Words]]) -> None:
        grams = [{gram for words in image for gram in _ngrams(words)} for image in references]
        self.frequency = Counter(gram for image in grams for gram in image)
        self.log_images = math.log(len(references))
        self.references = [[self._vector(words) for words in image] for image in references]

    def __call__(self, captions: Sequence[Words]) -> np.ndarray:
        """Scores in 0..10, float64 [images], of one caption for each image, in the order of the references."""
        pairs = zip(map(self._vector, captions), self.references, strict=True)
        return np.array([10 * sum(_similarity(own, r) for r in others) / len(others) for own, others in pairs])

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
    vectors = zip(caption.weights, reference.weights, caption.norms, reference.norms, strict=True)
    for own, other, norm, other_norm in vectors:
        shared = sum(min(own[gram], other[gram]) * other[gram] for gram in own if gram in other)
        cosines.append(shared / (norm * other_norm) if norm and other_norm else 0.0)
    penalty = math.exp(-((caption.length - reference.length) ** 2) / (2 * SIGMA**2))
    return penalty * sum(cosines) / ORDERS


def _bleu(order: int) -> "BLEU":
    """BLEU without smoothing: a caption without any match of some order has 0, as one too short to have any."""
    from sacrebleu.metrics import BLEU

    return BLEU(tokenize="none", smooth_method="none", max_ngram_order=order, force=True)


def _bleu_of(metric: "BLEU", pairs: Sequence[tuple[Words, Sequence[Words]]]) -> float:
    """BLEU of captions with their references, in 0..1; the brevity penalty takes the closest reference's length."""
    most = max(len(references) for _, references in pairs)
    streams = [[" ".join(r[k]) if k < len(r) else None for _, r in pairs] for k in range(most)]
    captions = [" ".join(caption) for caption, _ in pairs]
    return metric.corpus_score(captions, cast("list[list[str]]", streams)).score / 100  # None is no reference


class _Blanks:
    """A tokenizer for rouge-score: the words are already found."""

    tokenize = staticmethod(str.split)


class _NoSynonyms:
    """A WordNet without entries."""

    def synsets(self, word: str) -> list:
        return []

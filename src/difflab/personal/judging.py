"""Does a picture show the subject? A linear judge on an encoder's features, and the measures of a personalised model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from difflab.metrics.features.features import share_correct
from difflab.metrics.images.distances import kernel_distance

if TYPE_CHECKING:
    from difflab.images.facts.data_set import ClassSet, DataSet

CLASS = "any of the class"
RELIABLE = 0.8  # the share of pictures held out from it that a judge must name rightly for its verdicts to count


class SubjectJudge:
    """Names the subject that a picture shows, or that it shows another member of the class.

    A linear discriminant with Ledoit and Wolf's shrinkage of the covariance, all answers equally likely beforehand, on
    features of all subjects' pictures and of pictures of the class that the base made. It never sees a picture of a
    personalised model.

    Args:
        subjects: features [n, d] of each subject's pictures.
        others: features [n, d] of the base's pictures of the class.
    """

    def __init__(self, subjects: Mapping[str, np.ndarray], others: np.ndarray) -> None:
        self.features = {**subjects, CLASS: others}
        self._discriminant = _fitted(self.features)

    def shows(self, features: np.ndarray, subject: str) -> np.ndarray:
        """Whether each picture, by its features [n, d], shows the subject: bool [n]."""
        return self._discriminant.predict(np.asarray(features, np.float64)) == subject

    def held_out_accuracy(self) -> float:
        """The share of the subjects' pictures that are named rightly by a judge that was made without them, one by one."""
        right = []
        for name, features in self.features.items():
            if name == CLASS or len(features) < 2:
                continue
            for number in range(len(features)):
                rest = self.features | {name: np.delete(features, number, axis=0)}
                right.append(bool(_fitted(rest).predict(features[number : number + 1].astype(np.float64))[0] == name))
        return float(np.mean(right)) if right else float("nan")


def _fitted(features: Mapping[str, np.ndarray]):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    labels = [name for name, rows in features.items() for _ in rows]
    alike = [1 / len(features)] * len(features)
    discriminant = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=alike)
    return discriminant.fit(np.concatenate([rows.astype(np.float64) for rows in features.values()]), labels)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine similarity of all pairs of features [n, d], [m, d]: [n, m], float64."""
    a, b = (x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True) for x in (a, b))
    return a @ b.T


def expected_nearest(similarities: np.ndarray, among: int) -> np.ndarray:
    """The highest of `among` similarities drawn without replacement from each row [n, k], in expectation: [n].

    So that nearest pictures of sets of different sizes compare. Of the sorted row, s_(i) (from 1) is the highest with
    probability C(i - 1, among - 1) / C(k, among).
    """
    count = similarities.shape[1]
    weights = np.array([comb(i, among - 1) for i in range(count)]) / comb(count, among)
    return np.sort(similarities, axis=1) @ weights


def memorisation(made: np.ndarray, trained_on: np.ndarray, left_out: np.ndarray) -> float:
    """How much nearer pictures lie to the nearest training picture than to the nearest left-out one, by cosine.

    Of equally many each (`expected_nearest`): 0 in expectation where training pictures are nothing special.

    Args:
        made, trained_on, left_out: features [n, d].
    """
    among = min(len(trained_on), len(left_out))
    nearest = (expected_nearest(cosines(made, real), among) for real in (trained_on, left_out))
    first, second = (float(values.mean()) for values in nearest)
    return first - second


def diversity(features: np.ndarray, prompts: Sequence[str]) -> float:
    """1 minus the mean cosine of two pictures of one prompt, mean over the prompts."""
    parts = []
    for prompt in dict.fromkeys(prompts):
        rows = features[[p == prompt for p in prompts]]
        if len(rows) > 1:
            parts.append(float(cosines(rows, rows)[np.triu_indices(len(rows), 1)].mean()))
    return 1 - float(np.mean(parts))


@dataclass(frozen=True)
class Made:
    """Pictures that a model made: their features [n, d], prompts, and the classes that heads saw, int64 [n] each."""

    features: np.ndarray
    prompts: Sequence[str]
    classes: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class References:
    """What a training is measured against: features of the subject's pictures, and of the base's class pictures."""

    subject: str
    trained_on: np.ndarray
    left_out: np.ndarray
    before: np.ndarray


def measures(
    judge: SubjectJudge, of_subject: Made, of_class: Made, against: References, class_sets: "Sequence[ClassSet]"
) -> dict[str, float]:
    """All measures of one training.

    subject_accuracy   share of the pictures of the subject that show it
    similarity         mean cosine to the subject's pictures
    prompt_accuracy    share of the classes in the prompts that the encoder's heads see (absent where none is named)
    drift_kid          KID of pictures of the class word against those before
    class_correct      share of the pictures of the class word that do not show the subject
    diversity          1 - cosine of two pictures of one prompt
    memorisation       see `memorisation`
    """
    real = np.concatenate([against.trained_on, against.left_out])
    found = {
        "subject_accuracy": float(judge.shows(of_subject.features, against.subject).mean()),
        "similarity": float(cosines(of_subject.features, real).mean()),
        "drift_kid": kernel_distance(of_class.features, against.before),
        "class_correct": float(1 - judge.shows(of_class.features, against.subject).mean()),
        "diversity": diversity(of_subject.features, of_subject.prompts),
        "memorisation": memorisation(of_subject.features, against.trained_on, against.left_out),
    }
    if (followed := prompt_accuracy(of_subject, class_sets)) is not None:
        found["prompt_accuracy"] = followed
    return found


def prompt_accuracy(made: Made, class_sets: "Sequence[ClassSet]") -> float | None:
    """The mean over the class sets that prompts name of the share that is seen; None where no prompt names one."""
    shares = []
    for classes in class_sets:
        expected = np.array([classes.named(prompt) for prompt in made.prompts])
        share = share_correct(made.classes[classes.name], expected)
        shares += [] if share is None else [share]
    return float(np.mean(shares)) if shares else None


def class_sets_named(prompts: Sequence[str], data_sets: "Sequence[DataSet]") -> "tuple[ClassSet, ...]":
    """What prompts ask for that the heads of an encoder may see: class sets that one of the prompts names.

    They are of the data set in whose words alone a third of the prompts or more are written. Of the miniature "a cat over
    coffee" is, "a cat in the snow" is not. Empty: the prompts are in other words.
    """
    for data_set in data_sets:
        words = [set(re.findall(r"\w+", prompt.lower())) for prompt in prompts]
        if 3 * sum(data_set.title_words >= found for found in words) >= len(prompts):
            return tuple(s for s in data_set.class_sets if any(s.named(prompt) >= 0 for prompt in prompts))
    return ()


def unjudged(judge_accuracy: float, *, class_known: bool) -> tuple[str, ...]:
    """The measures that would mean nothing, which are then left out.

    Args:
        judge_accuracy: `SubjectJudge.held_out_accuracy`. Below RELIABLE the encoder cannot tell the subjects apart, so that
            neither its verdicts nor cosines to a subject's pictures say anything of a subject.
        class_known: whether the base has learnt the class words; else their pictures show anything, before and after.
    """
    found: list[str] = []
    if not judge_accuracy >= RELIABLE:  # nan too: of one picture each nothing can be held out
        found += ["subject_accuracy", "similarity", "class_correct", "memorisation"]
    if not class_known:
        found += ["drift_kid", "class_correct"]
    return tuple(dict.fromkeys(found))

"""What the trainings of all cells say together: means with 95 % intervals over subjects and seeds, and verdicts."""

from collections.abc import Mapping, Sequence

from difflab.core.base.errors import DifflabError
from difflab.metrics.uncertainty.intervals import equivalence, pooled_spread, with_intervals

Values = Mapping[str, Sequence[Mapping[str, float]]]
"""The measures of each training, by cell; trainings in one order for all cells."""

MEASURES = (
    "subject_accuracy", "similarity", "prompt_accuracy", "drift_kid", "class_correct", "diversity", "memorisation",
    "dino", "clip_image", "clip_text",
)  # fmt: skip


def table(cells: Values, prefix: str = "") -> dict[str, float]:
    """Flat metrics of every measure that all trainings have: `<cell>_<measure>` with its interval.

    The spread is pooled over the cells: of subjects and seeds together, as each training is of one subject and one seed.
    """
    metrics: dict[str, float] = {}
    for measure in MEASURES:
        if any(measure not in training for trainings in cells.values() for training in trainings):
            continue
        values = {f"{prefix}{cell}": [t[measure] for t in trainings] for cell, trainings in cells.items()}
        found = with_intervals(values, measure)
        shared = (f"{measure}_spread", f"{measure}_angle_spread", f"{measure}_relative_spread", f"{measure}_freedom")
        metrics |= {f"{prefix}{name}" if name in shared else name: value for name, value in found.items()}
    return metrics


def drift_verdicts(cells: Values, margin: float) -> dict[str, str]:
    """What is known of the drift of two priors of one method beside each other: `<method>_<a>_<b>_drift_verdict`.

    Args:
        margin: the difference of KID that does not matter. "better" is a drift less than that of the second.
    """
    values = {cell: [training["drift_kid"] for training in trainings] for cell, trainings in cells.items()}
    spread = pooled_spread(values)
    if not spread.freedom:
        return {}
    means = {cell: sum(column) / len(column) for cell, column in values.items()}
    count = len(next(iter(values.values())))
    verdicts = {}
    for method in dict.fromkeys(cell.rpartition("_")[0] for cell in means):
        for a, b in (("images", "none"), ("output", "none"), ("images", "output")):
            if f"{method}_{a}" in means and f"{method}_{b}" in means:
                verdicts[f"{method}_{a}_{b}_drift_verdict"] = equivalence(
                    means[f"{method}_{a}"], means[f"{method}_{b}"], count, spread, margin, lower_is_better=True
                )
    return verdicts


def check_prompts(prompts: Sequence[str], trained: Sequence[str], words: Sequence[str]) -> None:
    """Refuse a prompt of the evaluation that was trained: what is measured must be new.

    Args:
        prompts: templates with `{}`.
        trained: all captions of all subjects.
        words: what stands for the subjects in captions.
    """
    known = {" ".join(text.lower().split()) for text in trained}
    for template in prompts:
        for word in words:
            if " ".join(template.format(word).lower().split()) in known:
                raise DifflabError(f"personal.prompts: '{template}' is a training caption: measure on a new prompt")

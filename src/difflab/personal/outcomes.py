"""What the trainings of all cells say together: means with 95 % intervals over subjects and seeds, and verdicts."""

from collections.abc import Mapping, Sequence

from difflab.core.base.errors import DifflabError
from difflab.metrics.uncertainty.intervals import mean_interval, pooled_spread, with_intervals

DRIFT = "drift_kid"
STILL = ("base", "textual_inversion_none")
"""Cells without a training of what the class word means: the base, and a new word beside it."""
Drifts = dict[str, list[float]]
Values = Mapping[str, Sequence[Mapping[str, float]]]
"""The measures of each training, by cell; trainings in one order for all cells."""

MEASURES = (
    "subject_accuracy", "similarity", "prompt_accuracy", "drift_kid", "class_correct", "diversity", "memorisation",
    "dino", "clip_image", "clip_text",
)  # fmt: skip


def table(cells: Values, prefix: str = "") -> dict[str, float]:
    """Flat metrics of every measure that all trainings have: `<prefix><cell>_<measure>` with its interval.

    The spread is pooled over the cells: of subjects and seeds together, as each training is of one subject and one seed.
    Where a table is one of several, `prefix` tells its spreads (`<prefix><measure>_spread`) from theirs.
    """
    metrics: dict[str, float] = {}
    for measure in MEASURES:
        if any(measure not in training for trainings in cells.values() for training in trainings):
            continue
        values = {f"{prefix}{cell}": [t[measure] for t in trainings] for cell, trainings in cells.items()}
        if measure == DRIFT:
            values, still = _moved(values, prefix)
            metrics |= {f"{cell}_{measure}": sum(drifts) / len(drifts) for cell, drifts in still.items()}
        found = with_intervals(values, measure) if values else {}
        shared = (f"{measure}_spread", f"{measure}_angle_spread", f"{measure}_relative_spread", f"{measure}_freedom")
        metrics |= {f"{prefix}{name}" if name in shared else name: value for name, value in found.items()}
    return metrics


def _moved(values: Drifts, prefix: str) -> tuple[Drifts, Drifts]:
    """The cells whose trainings move the class word, and those that leave it: what these drift is the noise of KID.

    A drift grows with its level, 0 is none, and the spread of one cell says nothing of the other's.
    """
    still = {f"{prefix}{cell}" for cell in STILL}
    return {c: v for c, v in values.items() if c not in still}, {c: v for c, v in values.items() if c in still}


def prior_effects(cells: Values, margin: float) -> dict[str, float | str]:
    """What a prior changes in the drift of the class word, over all methods that take one, subjects and seeds.

    Trainings are paired: of one method, subject and seed, which differ by 0.1 to 2 in KID whatever the prior. The mean
    of their differences has a Student's t interval over the pairs.

    Args:
        cells: named `<method>_<prior>`.
        margin: the difference of KID that does not matter.

    Returns:
        `<a>_<b>_drift_difference` of two priors with `_low` and `_high`, negative where the first drifts less, and
        `<a>_<b>_drift_verdict`: "better" (less), "worse", "equal" within the margin or "open"; empty for less than two
        pairs, and where no drift was judged.
    """
    found: dict[str, float | str] = {}
    methods = [name.removesuffix("_none") for name in cells if name.endswith("_none")]
    for a, b in (("images", "none"), ("output", "none"), ("images", "output")):
        both = [m for m in methods if f"{m}_{a}" in cells and f"{m}_{b}" in cells]
        pairs = [pair for m in both for pair in zip(cells[f"{m}_{a}"], cells[f"{m}_{b}"], strict=True)]
        if len(pairs) < 2 or any("drift_kid" not in measured for pair in pairs for measured in pair):
            continue
        differences = [first["drift_kid"] - second["drift_kid"] for first, second in pairs]
        mean = sum(differences) / len(differences)
        low, high = mean_interval(mean, len(differences), pooled_spread({"": differences}))
        clear = "better" if high < 0 else "worse" if low > 0 else "open"
        name = f"{a}_{b}_drift"
        found |= {f"{name}_difference": mean, f"{name}_difference_low": low, f"{name}_difference_high": high}
        found[f"{name}_verdict"] = "equal" if -margin < low and high < margin else clear
    return found


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

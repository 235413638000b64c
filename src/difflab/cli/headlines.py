"""The headline numbers of the study, which `difflab compare`, `difflab reproduced` and claims.yaml speak of.

Each with its 95 % interval, as metrics/summary.json holds it, and with what varied in it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from difflab.ddpm.common.settings import DATASETS
from difflab.personal.cells import METHODS, PRIORS
from difflab.sd3.artifacts.cells import ADAPTERS, CAPTIONS
from difflab.sd3.blocks.ways import WAYS

if TYPE_CHECKING:
    from difflab.metrics.uncertainty.intervals import Interval

Summary = Mapping[str, float | str]
_KINDS, _MODELS = "|".join(CAPTIONS), "|".join(ADAPTERS)
_ADAPTED = "|".join(method for method in METHODS if method != "textual_inversion")
HEADLINES = {
    "sd3": rf"((?:{_MODELS})_(?:{_KINDS}))_(fid|kid|precision|recall|digit_accuracy|photo_accuracy)"
    rf"|((?:{_KINDS})_(?:minus_zero|minus_plus|zero_plus))_(fid_difference)",
    "denoising": r"(v\w+)_(psnr)",
    "ddpm": rf"({'|'.join(DATASETS)})_(mean_psnr|fid|kid|precision|recall|accuracy)",
    "cold": r"(blur|mask)_(restored_psnr|walked_back_psnr)",
    "captioning": r"(original|mixed|synthetic|instruct)_(bleu_1|cider_d|both_correct|cider_d_difference)",
    "attention": rf"(\w+_(?:{_MODELS}))_(pointing_accuracy|ari)",
    "blocks_tuned": rf"({'|'.join(WAYS)})_(top_minus_random_gain)",
    "personal": rf"(base|(?:{'|'.join(METHODS)})_(?:{'|'.join(PRIORS)}))_(subject_accuracy|class_correct)"
    rf"|((?:{_ADAPTED})_(?:{'|'.join(PRIORS)}))_(drift_kid)|((?:{'|'.join(PRIORS)})_(?:{'|'.join(PRIORS)}))_(drift_difference)",
}
"""By study the names of its headline numbers: a cell and a measure. The rest stands beside them for comparison."""
STAGES = {
    "sd3": "score",
    "denoising": "denoise_score",
    "ddpm": "ddpm_score",
    "cold": "cold@{}",
    "captioning": "caption_score",
    "attention": "attention_maps",
    "blocks_tuned": "tune_blocks",
    "personal": "personal",
}
GIVEN = {"pretrained", "base"}
"""What cells of a model that is given are named: their intervals are of generation, or of noise, alone."""
RULED = ("sd3", "ddpm", "personal")
"""Studies whose measures, but for PSNR, a network of ours takes: those of two rulers do not compare."""


@dataclass(frozen=True)
class Headline:
    """One number: `sd3_minus_blip2_fid` is the measure `fid` of the cell `minus_blip2` of the study `sd3`."""

    study: str
    cell: str
    measure: str

    @property
    def name(self) -> str:
        return f"{self.study}_{self.cell}_{self.measure}"

    @property
    def given(self) -> bool:
        """Whether its model is given and not trained by its stages."""
        return not GIVEN.isdisjoint(self.cell.split("_"))

    @property
    def ruled(self) -> bool:
        """Whether a network of ours takes it."""
        return self.study in RULED and not self.measure.endswith("psnr")

    @property
    def stage(self) -> str:
        """The address of the stage whose metrics hold it."""
        return STAGES[self.study].format(self.cell)

    @property
    def scale(self) -> float:
        """The factor that it is shown with: shares in percent."""
        return 100.0 if self.measure.endswith(("accuracy", "correct")) else 1.0


def headline_names(names: Iterable[str]) -> Iterator[Headline]:
    """The headline numbers among names of metrics/summary.json, study by study."""
    names = dict.fromkeys(names)
    for study, pattern in HEADLINES.items():
        found = (re.fullmatch(f"{study}_(?:{pattern})", name) for name in names)
        yield from (Headline(study, *filter(None, match.groups())) for match in found if match)


def interval(summary: Summary, headline: Headline) -> "Interval | None":
    """A number's 95 % interval over trainings (of a given model: over generation).

    None where it has none: one training says nothing of the spread between them, whatever images say.
    """
    trainings = (summary.get(f"{name}_trainings") for name in (headline.study, f"{headline.study}_{headline.cell}"))
    if any(isinstance(count, int | float) and count < 2 for count in trainings):
        return None
    low, high = (summary.get(f"{headline.name}_{end}") for end in ("low", "high"))
    return (float(low), float(high)) if isinstance(low, int | float) and isinstance(high, int | float) else None


def ruler(summary: Summary, headline: Headline) -> str | None:
    """The network that took a measure, where its stage names one; None for a measure that needs none."""
    own = f"{headline.study}_{DATASETS.get(headline.cell, '')}_ruler"
    return str(summary.get(own) or summary.get(f"{headline.study}_ruler") or "") or None if headline.ruled else None

"""What the studies here answer to references 001 and 002, in figures: the table of docs/references.md."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from difflab.report.findings import DRIFTS, INTERVAL, PERCENT
from difflab.report.study_tables import published
from difflab.report.summary import part
from difflab.report.tables import ABSENT, table, value

if TYPE_CHECKING:
    from difflab.report.tables import Numbers

_PSNR, _NETWORKS = value(2, unit=" dB"), {"v1": "v1", "v2": "v2, at the matching timestep"}
_HEADER = ["reference", "question", "published", "here", "by"]


def answers(summary: Mapping[str, float]) -> str:
    """A row for each question whose figures are there, with the command that makes them."""
    rows = [*_denoising(part(summary, "denoising")), *_personal(part(summary, "personal"))]
    return table(_HEADER, rows, numbers=False) if rows else ""


def _denoising(found: "Numbers") -> Iterator[list[str]]:
    theirs, made = published()["denoising"], "`difflab repro denoise_score`"
    for name, told in _NETWORKS.items():
        if (key := f"{name}_clipped_psnr") in found:
            here = f"{_PSNR(found, key)} from {found['noisy_clipped_psnr']:.2f}"
            there = f"{theirs[name]['psnr']} dB from {theirs['noisy']['psnr']}"
            yield ["001", f"How well is noise removed, {told}?", there, here, made]


def _personal(found: "Numbers") -> Iterator[list[str]]:
    made = "`difflab repro personal`"
    if "lora_none_subject_accuracy" in found:
        shown = {cell: PERCENT(found, f"{cell}_subject_accuracy") for cell in ("lora_none", "base")}
        pictures, steps = int(found["pictures"]), int(found["steps"])
        question = f"Does LoRA on {pictures} pictures show the subject, {steps} steps?"
        here = f"in {shown['lora_none']} of pictures of new prompts, the base in {shown['base']}"
        yield ["001", question, ABSENT, here, made]
    if "lora_text_none_subject_accuracy" in found:
        both = {cell: PERCENT(found, f"{cell}_subject_accuracy") for cell in ("lora_text_none", "lora_none")}
        here = f"{both['lora_text_none']}, the U-Net's adapter alone {both['lora_none']}"
        yield ["001, 002", "And with the text encoder adapted too?", ABSENT, here, made]
    if "full_none_subject_accuracy" in found:
        kept = PERCENT(found, "full_none_class_correct")
        here = f"{PERCENT(found, 'full_none_subject_accuracy')}; the class word keeps its meaning in {kept}"
        yield ["002", "Does all of the U-Net (DreamBooth) show it?", ABSENT, here, made]
    if verdict := str(found.get("images_none_drift_verdict", "")):
        here = f"it drifts {DRIFTS[verdict]} {'as' if verdict == 'equal' else 'than'} without: "
        here += f"{INTERVAL(found, 'images_none_drift_difference')} in KID"
        yield ["002", "Do class images keep the class word?", ABSENT, here, made]

"""metrics/summary.json: the numbers of every study in one flat file, named `<study>_<thing>_<measure>`."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from difflab.core.base.files import read_json
from difflab.sd3.artifacts.cells import ADAPTERS, BOTH, CAPTIONS, FINE_TUNED, OWN, PUBLISHED, mean_on_sigma

WRITTEN = tuple(kind for kind in CAPTIONS if kind != OWN)
"""The kinds of captions that stages write, which every study has."""

Numbers = dict[str, Any]  # numbers, and the texts of `TEXTS`
PREFIXES = {
    "prepare_celeba_hq": "images_celeba_hq",
    "prepare_celeba": "images_celeba",
    "zoo_vision_encoder": "models_vision_encoder",
    "zoo_vae": "models_vae",
    "zoo_blip2": "models_blip2",
    "zoo_llama": "models_llama",
    "zoo_transformer": "models_transformer",
    "zoo_classifier": "models_classifier",
    "zoo_image_vae": "models_image_vae",
    **{f"caption_{kind}": f"sd3_captions_{kind}" for kind in WRITTEN},
    "cache_latents": "sd3_latents",
    "cache_prompts": "sd3_prompts",
    **{f"finetune@{c}-{a}": f"sd3_finetune_{c}_{a}" for c in (*CAPTIONS, BOTH) for a in FINE_TUNED},
    "score": "sd3",
    "guidance_curve": "sd3_guidance_curve",
    "step_curve": "sd3_step_curve",
    "rank_blocks": "blocks",
    "tune_blocks": "blocks_tuned",
    "attention_maps": "attention",
    "denoise_score": "denoising",
    "ddpm_score": "ddpm",
    "process": "process",
    "memorisation": "memorisation",
    "cold@blur": "cold_blur",
    "cold@mask": "cold_mask",
    "vary_titles": "captioning_titles",
    "synthesize": "captioning_synthetic",
    "mix": "captioning_mix",
    "caption_score": "captioning",
    "personal": "personal",
}
"""What the names of a stage's numbers start with, for each stage whose metrics the report reads."""


TEXTS = ("_verdict", "ruler")
"""How the names of values end that are texts: verdicts, and the networks that took the numbers."""


def metrics_file(stage: str) -> str:
    """Where a stage writes its metrics: `finetune@blip2-minus` to metrics/finetune/blip2-minus.json."""
    return f"metrics/{stage.replace('@', '/')}.json"


def prefixed(stage: str, metrics: Mapping[str, object]) -> Numbers:
    """The numbers of a stage by their names in the summary, with verdicts on them and the rulers that took them."""
    numbers = {
        k: v
        for k, v in metrics.items()
        if (isinstance(v, int | float) and not isinstance(v, bool)) or (isinstance(v, str) and k.endswith(TEXTS))
    }
    return {f"{PREFIXES[stage]}_{key}": value for key, value in numbers.items()}


def part(summary: Mapping[str, float], prefix: str) -> Numbers:
    """The numbers whose names start with `<prefix>_`, by the rest of their names."""
    return {k.removeprefix(f"{prefix}_"): v for k, v in summary.items() if k.startswith(f"{prefix}_")}


def kinds_of(sd3: Mapping[str, object]) -> list[str]:
    """The kinds of captions that the SD3 study had, by the short names of its numbers: own ones where they are scored."""
    return [kind for kind in CAPTIONS if kind != OWN or any(f"{adapter}_{OWN}_fid" in sd3 for adapter in ADAPTERS)]


def summarise(
    logit_means: Mapping[str, float],
    density: Mapping[str, Any],
    comparable: bool,
    root: Path = Path(),
    trained_on: Iterable[str] = PUBLISHED,
) -> Numbers:
    """The numbers of all stages that have run, with the headlines of the SD3 study.

    Args:
        logit_means: mean of the logit-normal density by column: {"minus": -0.5, ...}.
        density: `convention` and `shift` of the training density.
        comparable: whether the settings are the published ones.
        trained_on: the captions of the adapters; what lies there of others is of another study.
    """
    summary: Numbers = {"sd3_comparable_with_published": int(comparable), "sd3_shift": density["shift"]}
    for adapter in FINE_TUNED:
        summary[f"sd3_{adapter}_logit_mean"] = logit_means[adapter]
        summary[f"sd3_{adapter}_logit_mean_on_sigma"] = mean_on_sigma(logit_means[adapter], density["convention"])
    others = tuple(f"finetune@{c}-" for c in {*CAPTIONS, BOTH} - {*trained_on})
    for stage in PREFIXES:
        if stage.startswith(others):
            continue
        path = root / metrics_file(stage)
        found = read_json(path) if path.is_file() else {}
        summary |= prefixed(stage, found | (best_cell(found) if stage == "score" else {}))
    return summary


def best_cell(score: Mapping[str, float]) -> Numbers:
    """The lowest FID of a fine-tuned cell, and the worst ratio of fine-tuned to pretrained FID; empty if unscored."""
    tuned = {(a, c): score[k] for a in FINE_TUNED for c in CAPTIONS if (k := f"{a}_{c}_fid") in score}
    if not tuned:
        return {}
    result = {"best_fid": min(tuned.values())}
    if ratios := [v / base for (_, c), v in tuned.items() if (base := score.get(f"pretrained_{c}_fid"))]:
        result["largest_fid_ratio_to_pretrained"] = max(ratios)
    if accuracies := [score[k] for a, c in tuned if (k := f"{a}_{c}_digit_accuracy") in score]:
        result["lowest_fine_tuned_digit_accuracy"] = min(accuracies)
    return result

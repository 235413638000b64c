"""What is known of a training, for the header and the model card of its files: settings, prompts and scores."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difflab.core.base.files import read_json, read_parquet
from difflab.models.adapters.header import Description
from difflab.personal.cells import METHODS, PRIORS
from difflab.personal.outcomes import MEASURES
from difflab.personal.words import Words
from difflab.sd3.artifacts.cells import FINE_TUNED

if TYPE_CHECKING:
    from difflab.cli.adapters import OnBase
    from difflab.study import Params

_CELLS, PERSONAL, _PROMPTS = Path("models/finetune"), Path("models/personal"), 3
_MEASURES = ("fid", "kid", "precision", "recall", "digit_accuracy", "photo_accuracy", "both_accuracy", "clip_score")
_TRAINING = re.compile(rf"({'|'.join(METHODS)})_({'|'.join(PRIORS)})-(\d+)-(.+)-(\d+)")


def describe(adapter: "OnBase", params: "Params") -> Description:
    """What is known of an adapter for its header and card; of one that the study trained its settings and scores too."""
    pipeline, base = adapter.pipeline, adapter.base
    network = getattr(pipeline, adapter.file.denoiser)
    side = network.config.sample_size * 2 ** (len(pipeline.vae.config.block_out_channels) - 1)
    settings, scores, prompts = _known(adapter.file.path, params)
    return Description(
        title=adapter.name,
        base=base.name,
        loads_from=base.loads_from,
        licence=base.licence,
        resolution=side,
        prediction=pipeline.scheduler.config.get("prediction_type", "") if adapter.file.denoiser == "unet" else "",
        settings=settings,
        scores=scores,
        prompts=prompts,
        call=f"max_sequence_length={base.text_length}" if base.text_length else "",
    )


def _known(path: Path, params: "Params") -> tuple[dict[str, Any], dict[str, float], tuple[str, ...]]:
    """Settings, scores and prompts of a training of one of the studies; empty of another file."""
    if cell := _cell(path):
        return _settings(cell, params), _scores(*cell), _prompts(cell[0])
    folder = path.parent.name
    if PERSONAL in path.parents and (found := _TRAINING.fullmatch(folder)):
        return _of_personal(found.groups(), params)
    return {}, {}, ()


def _of_personal(parts: tuple[str, ...], params: "Params") -> tuple[dict[str, Any], dict[str, float], tuple[str, ...]]:
    """The same of a training of the few-image study, by the parts of its name; scores of those in the table."""
    method, prior, pictures, subject, seed = parts
    study, training = params.personal, params.personal.training
    words = Words(study.token, next((s.class_word for s in study.subjects if s.name == subject), None))
    told = {"method": METHODS[method], "prior": PRIORS[prior], "subject": subject, "pictures": int(pictures)}
    fitted = {name: getattr(training, name) for name in ("steps", "batch_size", "weight_decay", "max_grad_norm")}
    fitted |= {
        "learning_rate": study.learning_rate[method],
        "lr_warmup_steps": training.warmup_steps,
        "seed": int(seed),
    }
    scores: dict[str, float] = {}
    if int(pictures) == max(study.pictures) and (path := Path("metrics/personal.json")).exists():
        found, cell = read_json(path), f"{method}_{prior}"
        scores = {name: found[key] for name in MEASURES if (key := f"{cell}_{name}") in found}
    named = words.learned if method == "textual_inversion" else words.instance
    return told | fitted, scores, (f"a photo of {named}",)


def _cell(path: Path) -> tuple[str, str, int] | None:
    """Captions, logit mean and seed of a training of the SD3 study; None of another adapter."""
    folder = path.parent
    captions, _, mean = folder.parent.name.rpartition("-")
    if folder.parent.parent != _CELLS or not captions or mean not in FINE_TUNED or not folder.name.startswith("seed-"):
        return None
    return captions, mean, int(folder.name.removeprefix("seed-"))


def _settings(cell: tuple[str, str, int], params: "Params") -> dict[str, Any]:
    captions, mean, seed = cell
    training = params.finetune.training
    names = (
        "steps",
        "batch_size",
        "gradient_accumulation_steps",
        "learning_rate",
        "lr_scheduler",
        "lr_warmup_steps",
        "weight_decay",
    )
    values = {name: getattr(training, name) for name in (*names, "max_grad_norm", "prompt_dropout")}
    density = params.finetune.density
    told = {"captions": captions, "logit_mean": params.logit_mean[mean], "timestep_density": density.weighting_scheme}
    return told | values | {"seed": seed}


def _scores(captions: str, mean: str, seed: int) -> dict[str, float]:
    """The measures of the cell, means over its trainings, and its validation loss, as far as they lie here."""
    found: dict[str, float] = {}
    if (path := Path("metrics/score.json")).exists():
        scores = read_json(path)
        found = {name: scores[key] for name in _MEASURES if (key := f"{mean}_{captions}_{name}") in scores}
    if (path := Path(f"metrics/finetune/{captions}-{mean}.json")).exists():
        losses = read_json(path)
        if (key := f"seed_{seed}_val_loss") in losses:
            found["validation_loss"] = losses[key]
    return found


def _prompts(captions: str) -> tuple[str, ...]:
    path = Path(f"data/captions/{captions}.parquet")
    return tuple(read_parquet(path)["caption"].drop_duplicates()[:_PROMPTS]) if path.exists() else ()

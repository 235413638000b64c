"""Adapters on the command line: found by path, put together with their base, described for others."""

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difflab.cli.bases import Base, find_base
from difflab.core.base.errors import DifflabError, suggestion
from difflab.core.base.files import read_json, read_parquet
from difflab.core.base.roles import fingerprint
from difflab.models.adapters.fit import check_fit, layers_of, put_on, take_off
from difflab.models.adapters.header import Description
from difflab.models.adapters.reading import read_adapter
from difflab.models.known.pipelines import known_pipelines
from difflab.sd3.artifacts.adapters import base_fingerprint
from difflab.sd3.artifacts.cells import FINE_TUNED
from difflab.sd3.artifacts.components import NAMES, check_components
from difflab.sd3.pipeline import study_components

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from diffusers import DiffusionPipeline

    from difflab.models.adapters.fit import Layers
    from difflab.models.adapters.reading import AdapterFile
    from difflab.models.adapters.updates import Updates
    from difflab.study import Params

_CELLS, _PROMPTS = Path("models/finetune"), 3
_MEASURES = ("fid", "kid", "precision", "recall", "digit_accuracy", "photo_accuracy", "both_accuracy", "clip_score")


@dataclass(frozen=True)
class OnBase:
    """An adapter with the base that it fits."""

    name: str
    file: "AdapterFile"
    base: Base
    pipeline: "DiffusionPipeline"
    layers: "Layers"
    updates: "Updates"


def open_adapters(paths: list[Path], chosen: str | None, params: "Params", device="cpu", dtype=None) -> list[OnBase]:
    """Adapters and the one base that they share, which is loaded once.

    Raises:
        DifflabError: one is no adapter, does not fit the base, or they have different bases.
    """
    files = [read_adapter(path) for path in paths]
    kinds = {file.denoiser for file in files}
    if len(kinds) > 1:
        raise DifflabError(
            "the adapters are of a transformer and of a U-Net: their bases share no noise, ask for each alone"
        )
    base = find_base(chosen, files[0].denoiser, params)
    return fitted(files, base, base.load(device, dtype))


def fitted(
    files: "Sequence[AdapterFile]", base: Base, pipeline: "DiffusionPipeline", remedy: str = "name its base with --base"
) -> list[OnBase]:
    """Adapters with a base that is loaded already.

    Args:
        remedy: what a message advises where one belongs to another base.

    Raises:
        DifflabError: one does not fit the base.
    """
    layers, opened = layers_of(pipeline), []
    for file in files:
        check_base(file, base, pipeline, remedy)
        updates = file.updates(layers)
        check_fit(updates, layers, str(file.path))
        opened.append(OnBase(name_of(file.path), file, base, pipeline, layers, updates))
    return opened


def check_base(file: "AdapterFile", base: Base, pipeline: "DiffusionPipeline", remedy: str) -> None:
    """Refuse, as a DifflabError, an adapter that says it was trained on another base, or with other components.

    It may name its base by the denoiser's weights, as the SD3 study does, or by the whole folder.
    """
    denoiser = getattr(pipeline, file.denoiser, None)
    if denoiser is None:
        kind = type(pipeline).__name__
        raise DifflabError(f"{file.path} is an adapter of a {file.denoiser}, and {base.name} is a {kind}: {remedy}")
    told = file.facts.get("base")
    if told is not None and told not in (present := base_fingerprint(denoiser), fingerprint(base.folder())):
        raise DifflabError(f"{file.path} was trained on another base ({told}, not {present}): {remedy}")
    if base.is_study and NAMES.keys() <= file.facts.keys():
        check_components(str(file.path), file.facts, study_components(), remedy)


@contextmanager
def adapted(pipeline: "DiffusionPipeline", adapter: OnBase | None) -> "Generator[None]":
    """The pipeline with an adapter on it (None: with none) in the block, and alone again after it, whatever happens."""
    try:
        take_off(pipeline) if adapter is None else put_on(pipeline, adapter.updates)
        yield
    finally:
        take_off(pipeline)


def known_adapters() -> list[str]:
    """The folders under models/ that hold adapters, a cell of trainings as one."""
    found = [
        path.parent for path in Path("models").rglob("*lora_weights.safetensors") if "checkpoints" not in path.parts
    ]
    return sorted({str(path.parent if path.name.startswith("seed-") else path) for path in found})


def is_adapter(name: str, params: "Params") -> bool:
    """Whether a name of --model is a path of an adapter, and not a known model.

    Raises:
        DifflabError: it is neither.
    """
    known = known_pipelines()
    if name in known or name in {model.hub.repo_id for model in known.values() if model.hub}:
        return False
    if not Path(name).exists():
        adapters = known_adapters()
        more = f", or an adapter, as {adapters[0]}" if adapters else ""
        near = suggestion(name, [*adapters, *known])
        raise DifflabError(
            f"unknown model '{name}': one of {', '.join(known)} "
            f"(src/difflab/models/known/pipelines.yaml says more){more}{near}"
        )
    return True


def name_of(path: Path) -> str:
    """A name for files and titles: "blip2-zero-seed-0" for a training of the study, else the file's or folder's own."""
    folder = path.parent if path.name == "pytorch_lora_weights.safetensors" else path
    if folder.name.startswith(("seed-", "step-")):
        outer = folder.parent.parent if folder.parent.name == "checkpoints" else folder.parent
        return f"{name_of(outer)}-{folder.name}"
    return folder.stem if folder.suffix == ".safetensors" else folder.resolve().name


def describe(adapter: OnBase, params: "Params") -> Description:
    """What is known of an adapter for its header and card; of one that the study trained its settings and scores too."""
    pipeline, base = adapter.pipeline, adapter.base
    network = getattr(pipeline, adapter.file.denoiser)
    side = network.config.sample_size * 2 ** (len(pipeline.vae.config.block_out_channels) - 1)
    cell = _cell(adapter.file.path)
    return Description(
        title=adapter.name,
        base=base.name,
        loads_from=base.loads_from,
        licence=base.licence,
        resolution=side,
        prediction=pipeline.scheduler.config.get("prediction_type", "") if adapter.file.denoiser == "unet" else "",
        settings=_settings(cell, params) if cell else {},
        scores=_scores(*cell) if cell else {},
        prompts=_prompts(cell[0]) if cell else (),
        call=f"max_sequence_length={base.text_length}" if base.text_length else "",
    )


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

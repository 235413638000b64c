"""Adapters on the command line: found by path, put together with their base, described for others."""

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from difflab.cli.bases import Base, base_of, find_base
from difflab.cli.described import PERSONAL
from difflab.core.base.errors import DifflabError, suggestion
from difflab.core.base.roles import fingerprint
from difflab.models.adapters import diffusers_format, embeddings, fit, networks
from difflab.models.adapters.embeddings import Embedding
from difflab.models.adapters.reading import AdapterFile, read_trained
from difflab.models.known.pipelines import known_pipelines
from difflab.sd3.artifacts.adapters import base_fingerprint
from difflab.sd3.artifacts.components import NAMES, check_components
from difflab.sd3.pipeline import study_components

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from diffusers import DiffusionPipeline

    from difflab.models.adapters.fit import Layers
    from difflab.models.adapters.networks import Network
    from difflab.models.adapters.updates import Updates
    from difflab.study import Params

    Trained = AdapterFile | Embedding | Network


@dataclass(frozen=True)
class OnBase:
    """What was trained, with the base that it fits.

    Attributes:
        layers: of the base.
        updates: of a LoRA adapter; empty of a token's embedding and of a whole denoiser.
    """

    name: str
    file: "Trained"
    base: Base
    pipeline: "DiffusionPipeline"
    layers: "Layers"
    updates: "Updates"

    def merge(self) -> None:
        """Make it part of the pipeline for good."""
        if isinstance(self.file, AdapterFile):
            fit.merge(self.pipeline, self.updates)
        else:
            self.file.put_on(self.pipeline)

    def told(self) -> str:
        """What it is: "96 layers, rank 16"."""
        if not isinstance(self.file, AdapterFile):
            return self.file.told()
        ranks = sorted({part.rank for part in self.updates.values()})
        rank = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {ranks[0]} to {ranks[-1]}"
        return f"{len(self.updates)} layers, {rank}"


def open_adapters(paths: list[Path], chosen: str | None, params: "Params", device="cpu", dtype=None) -> list[OnBase]:
    """What was trained, and the one base that all of it shares, which is loaded once.

    Raises:
        DifflabError: a path holds nothing of the kind or does not fit the base, or they have different bases.
    """
    files = [read_trained(path) for path in paths]
    kinds = {file.denoiser for file in files}
    if len(kinds) > 1:
        raise DifflabError(
            "the adapters are of a transformer and of a U-Net: their bases share no noise, ask for each alone"
        )
    if chosen is None and all(PERSONAL in path.parents for path in paths) and params.personal.base.hub is not None:
        base = base_of(params.personal.base)
    else:
        base = find_base(chosen, files[0].denoiser, params)
    return fitted(files, base, base.load(device, dtype))


def fitted(
    files: "Sequence[Trained]", base: Base, pipeline: "DiffusionPipeline", remedy: str = "name its base with --base"
) -> list[OnBase]:
    """What was trained with a base that is loaded already.

    Args:
        remedy: what a message advises where one belongs to another base.

    Raises:
        DifflabError: one does not fit the base.
    """
    layers, opened = fit.layers_of(pipeline), []
    for file in files:
        check_base(file, base, pipeline, remedy)
        updates: Updates = {}
        if isinstance(file, AdapterFile):
            updates = file.updates(layers)
            fit.check_fit(updates, layers, str(file.path))
        else:
            file.check_fit(pipeline)
        opened.append(OnBase(name_of(file.path), file, base, pipeline, layers, updates))
    return opened


def check_base(file: "Trained", base: Base, pipeline: "DiffusionPipeline", remedy: str) -> None:
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
    """The pipeline with what was trained on it (None: with nothing) in the block, and alone again after it."""
    if adapter is not None and not isinstance(adapter.file, AdapterFile):
        with adapter.file.on(pipeline):
            yield
        return
    try:
        fit.take_off(pipeline) if adapter is None else fit.put_on(pipeline, adapter.updates)
        yield
    finally:
        fit.take_off(pipeline)


def unnamed(adapters: "Sequence[OnBase]", prompt: str) -> list[str]:
    """A line for each embedding whose token a prompt lacks, so that it changes nothing."""
    files = {adapter.name: adapter.file for adapter in adapters}
    return [
        f"WARNING: the prompt lacks {file.token}, which {name} gives a meaning to"
        for name, file in files.items()
        if isinstance(file, Embedding) and file.token not in prompt
    ]


def known_adapters() -> list[str]:
    """The folders under models/ that hold LoRA adapters, a cell of trainings as one."""
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
    folder = path.parent if path.name in (diffusers_format.FILE_NAME, embeddings.FILE_NAME, networks.FOLDER) else path
    if folder.name.startswith(("seed-", "step-")):
        outer = folder.parent.parent if folder.parent.name == "checkpoints" else folder.parent
        return f"{name_of(outer)}-{folder.name}"
    return folder.stem if folder.suffix == ".safetensors" else folder.resolve().name

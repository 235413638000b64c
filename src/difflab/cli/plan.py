"""What a run with given parameters needs: stages, models, archives, accounts, disk. Asks no server."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from difflab.core.base.errors import DifflabError
from difflab.core.params.loading import read_pipeline
from difflab.ddpm.params import ClassifiersParams
from difflab.images.archives.data_root import data_root
from difflab.images.params import ArchiveParams
from difflab.models.params import HubRef

# Download sizes in GB of the safetensors files of a role, and whether the licence must be accepted with an
# account. Sizes are rounded from parameter counts and the precision of the published files.
KNOWN_SIZES = {
    ("stabilityai/stable-diffusion-3-medium-diffusers", "zoo.vae"): 0.2,
    ("stabilityai/stable-diffusion-3-medium-diffusers", "zoo.text"): 11.2,
    ("stabilityai/stable-diffusion-3-medium-diffusers", "zoo.transformer"): 4.2,
    ("Salesforce/blip2-flan-t5-xl-coco", "zoo.blip2"): 15.8,
    ("Salesforce/blip2-flan-t5-xl", "zoo.blip2"): 15.8,
    ("meta-llama/Llama-3.1-8B-Instruct", "zoo.llama"): 16.1,
    ("google/vit-base-patch16-224", "zoo.vision_encoder"): 0.3,
    ("google/gemma-3-1b-it", "zoo.gemma"): 2.0,
    ("meta-llama/Llama-3.2-1B", "zoo.language"): 2.5,
    ("llava-hf/llava-1.5-7b-hf", "zoo.instruct"): 14.1,
    ("stabilityai/stable-diffusion-2-1", "zoo.diffusion"): 5.2,
    ("stabilityai/stable-diffusion-2-1", "sweep"): 5.2,
    ("stabilityai/sd-turbo", "sweep"): 5.2,
    ("stabilityai/stable-diffusion-xl-base-1.0", "sweep"): 13.9,
    ("stabilityai/sdxl-turbo", "sweep"): 13.9,
    ("stabilityai/stable-diffusion-3.5-medium", "sweep"): 16.2,
    ("stabilityai/stable-diffusion-3.5-large-turbo", "sweep"): 27.6,
    ("openai/clip-vit-large-patch14", "sweep"): 1.7,
}
GATED = ("stabilityai/stable-diffusion-3", "meta-llama/", "google/gemma")
INCEPTION_GB = 0.1
CELEBA_HQ_IMAGES, CELEBA_ADDITION = (30_000, 6_000)  # rows of the table; about as many pass a minimum side of 768
STORED_SAMPLE_MB = 3.2  # upper bound of one 1024 px example in the two caches, two captions


@dataclass(frozen=True)
class Model:
    """A model that is fetched from the Hub."""

    role: str
    hub: HubRef
    cached: bool

    @property
    def gigabytes(self) -> float | None:
        return KNOWN_SIZES.get((self.hub.repo_id, self.role))

    @property
    def gated(self) -> bool:
        return self.hub.repo_id.startswith(GATED)


def plan(params: Any, pipeline: Path = Path("dvc.yaml")) -> str:
    """The plan as text."""
    models = list(hub_models(params))
    parts = [
        _stages(params, pipeline),
        _models(params, models),
        _accounts(models),
        _archives(params),
        _disk(params, models),
    ]
    return "\n\n".join(filter(None, parts))


def hub_models(params: BaseModel) -> Iterator[Model]:
    """Every role whose `hub` is set, and further models that are swept."""
    from difflab.models.roles import cached_snapshot

    roles = list(_hub_refs(params, ""))
    seen = {hub.repo_id for _, hub in roles}
    for role, hub in [*roles, *(("sweep", hub) for hub in _swept(params) if hub.repo_id not in seen)]:
        yield Model(role, hub, cached_snapshot(hub) is not None)


def _swept(params: Any) -> list[HubRef]:
    """The released models of the sweep's presets, each once."""
    names = dict.fromkeys(name for axes in params.sweep.presets.values() for name in axes.models)
    return [hub for name in names if (hub := params.sweep.known[name].hub) is not None]


def _hub_refs(group: BaseModel, path: str) -> Iterator[tuple[str, HubRef]]:
    for name in type(group).model_fields:
        value = getattr(group, name)
        if isinstance(value, HubRef):
            yield path, value
        elif isinstance(value, BaseModel):
            yield from _hub_refs(value, f"{path}.{name}" if path else name)


def count_cells(pipeline: Path) -> tuple[int, int]:
    """Stages of dvc.yaml, and what they expand to with every matrix item counted."""
    stages = read_pipeline(str(pipeline))["stages"].values()
    return len(stages), sum(math.prod(len(v) for v in stage.get("matrix", {}).values()) for stage in stages)


def _stages(params: Any, pipeline: Path) -> str:
    stages, cells = count_cells(pipeline)
    return f"profile {params.profile}: {stages} stages of dvc.yaml, {cells} runs with every matrix item counted"


def runs(values: Mapping[str, Any]) -> str:
    """Which stages `difflab repro` would run with these parameters, and for how long. DVC looks at every file.

    Args:
        values: as params.yaml has them.
    """
    from difflab.cli.repro import changed, default_jobs, remaining_seconds
    from difflab.cli.times import expected_seconds

    try:
        needs = changed((), values)
    except DifflabError as error:
        return f"to run: not known ({str(error).splitlines()[0].rstrip(' .:')})"
    if not needs:
        return "to run: nothing, all is up to date"
    seconds, jobs = expected_seconds(needs), default_jobs()
    wall = max(max(remaining_seconds(needs, seconds).values()), sum(seconds.values()) / jobs)
    names = list(dict.fromkeys(stage.partition("@")[0] for stage in needs))
    count = {name: sum(stage.partition("@")[0] == name for stage in needs) for name in names}
    listed = ", ".join(f"{name} x {count[name]}" if count[name] > 1 else name for name in names)
    of = "at the estimates of the default profile"
    return f"to run: {len(needs)} of them, about {wall / 60:.0f} minutes with {jobs} at once {of}: {listed}"


def _models(params: Any, models: list[Model]) -> str:
    trained = [f"zoo.{name}" for name in type(params.zoo).model_fields if _is_trained(getattr(params.zoo, name))]
    lines = [f"models trained by the pipeline: {', '.join(trained) or 'none'}"]
    if models:
        lines.append("models from the Hugging Face Hub:")
    for model in models:
        size = f"about {model.gigabytes} GB" if model.gigabytes else "size not known"
        revision = model.hub.revision or "revision resolved and recorded by the first run"
        notes = [size, "account and licence needed" if model.gated else "open"]
        notes.append("in the cache, wholly or in part" if model.cached else "not in the cache")
        lines.append(f"  {model.role}: {model.hub.repo_id} @ {revision} ({', '.join(notes)})")
    if params.score.extractor == "inception":
        lines.append(f"  score: Inception weights of pytorch-fid (about {INCEPTION_GB} GB, open)")
    return "\n".join(lines)


def _is_trained(role: BaseModel) -> bool:
    """Whether the pipeline trains a role: it names no Hub repository and no file of weights."""
    if isinstance(role, ClassifiersParams):
        return any(getattr(role, name).weights is None for name in type(role).model_fields)
    return getattr(role, "hub", None) is None


def archive_names(params: Any) -> list[str]:
    """The data sets that have an archive: celeba_hq, celeba, cifar10, ..."""
    return [n for n in type(params.data).model_fields if isinstance(getattr(params.data, n), ArchiveParams)]


def _accounts(models: list[Model]) -> str:
    gated = sorted({model.hub.repo_id for model in models if model.gated})
    if not gated:
        return "accounts: none needed"
    from huggingface_hub import get_token

    lines = [f"accounts: a Hugging Face token in HF_TOKEN (present here: {'yes' if get_token() else 'no'})"]
    return "\n".join(lines + [f"  accept the licence at https://huggingface.co/{repo_id}" for repo_id in gated])


def _archives(params: Any) -> str:
    found = {name: find_archive(params, getattr(params.data, name)) for name in archive_names(params)}
    remedies = dict.fromkeys(remedy for _, remedy in found.values() if remedy)
    lines = ["data:", *(f"  {name}: {place}" for name, (place, _) in found.items())]
    return "\n".join([*lines, *(f"  {remedy}" for remedy in remedies)])


def find_archive(params: Any, archive: Any) -> tuple[str, str]:
    """Where an archive comes from, and what to do where it is missing ("" where it is not)."""
    if archive.source == "bundled":
        return "built from images inside scikit-learn and scikit-image, nothing to fetch", ""
    if archive.source == "download":
        return f"downloaded from {archive.url}", ""
    try:
        place = data_root(params.data.data_root) / archive.path
    except DifflabError as error:
        return archive.path, str(error)
    if place.exists():
        return f"{place}: found", ""
    return f"{place}: not there", "put what is not there in its place"


def disk_needs(params: Any, models: list[Model]) -> dict[str, float]:
    """GB for each thing that takes more than the miniature does."""
    needs = {}
    if models:
        needs["models"] = sum(model.gigabytes or 0 for model in models)
    if params.data.celeba_hq.source != "bundled":
        needs["latents and embeddings"] = _examples(params) * _stored_megabytes(params) / 1000
    return needs


def _disk(params: Any, models: list[Model]) -> str:
    needs = disk_needs(params, models)
    total = sum(needs.values())
    if total < 1:
        return "disk: below 1 GB beside the environment and the archives"
    listed = ", ".join(f"{name} {value:.1f} GB" for name, value in needs.items())
    return f"disk: about {total:.0f} GB ({listed}), and twice the size of the archives"


def _examples(params: Any) -> int:
    addition = params.prepare.max_celeba_images
    return (params.split.max_rows or CELEBA_HQ_IMAGES) + (CELEBA_ADDITION if addition is None else addition)


def _stored_megabytes(params: Any) -> float:
    return STORED_SAMPLE_MB * (params.cache.latents.image_size / 1024) ** 2

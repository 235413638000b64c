"""What a run with given parameters needs, and what of it is not here: models, archives, disk. Asks no server."""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from difflab.cli.costs import costs, costs_table, split_rows
from difflab.cli.own_folder import own_folder
from difflab.core.base.errors import DifflabError
from difflab.core.params.common import HubRef
from difflab.core.params.loading import addresses
from difflab.ddpm.params import ClassifiersParams
from difflab.images.archives.acquire import check_layout, find_archive
from difflab.images.params import ArchiveParams
from difflab.models.known.pipelines import known_pipelines

# Download sizes in GB of the safetensors files of a role, rounded from parameter counts and the precision of the
# published files; whose licence must be accepted with an account.
KNOWN_SIZES = {
    ("stabilityai/stable-diffusion-3-medium-diffusers", "zoo.vae"): 0.2,
    ("stabilityai/stable-diffusion-3-medium-diffusers", "zoo.text"): 11.2,
    ("stabilityai/stable-diffusion-3-medium-diffusers", "zoo.transformer"): 4.2,
    ("stabilityai/stable-diffusion-3.5-medium", "zoo.vae"): 0.2,
    ("stabilityai/stable-diffusion-3.5-medium", "zoo.text"): 11.2,
    ("stabilityai/stable-diffusion-3.5-medium", "zoo.transformer"): 4.9,
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
    ("stable-diffusion-v1-5/stable-diffusion-v1-5", "personal.base"): 4.3,
    ("openai/clip-vit-base-patch32", "personal.encoders"): 0.6,
    ("facebook/dino-vits16", "personal.encoders"): 0.1,
}
GATED = ("stabilityai/stable-diffusion-3", "meta-llama/", "google/gemma")
STORED_SAMPLE_MB = 3.2  # upper bound of one 1024 px example in the two caches, two captions
SPACE_LEFT_GB = 2.0  # beside what is counted: environment, archives of the miniature, logs


@dataclass(frozen=True)
class Finding:
    """One line: a topic, what was found, and, where the run needs something else, what to do about it."""

    topic: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.topic:<10} {self.text}" + (f"\n{'':<10} MISSING: {self.remedy}" if self.remedy else "")


@dataclass(frozen=True)
class Model:
    """A model that is fetched from the Hub."""

    role: str
    hub: HubRef
    cached: bool

    @property
    def gigabytes(self) -> float | None:
        return KNOWN_SIZES.get((self.hub.repo_id, self.role))


def plan(params: Any, pipeline: Path = Path("dvc.yaml")) -> str:
    """Stages, models that are trained, everything that is needed from elsewhere, and what it costs, as text."""
    cells = addresses(str(pipeline), params.model_dump(mode="json"))
    stages = {cell.partition("@")[0] for cell in cells}
    trained = ", ".join(f"zoo.{name}" for name, role in params.zoo if isinstance(role, BaseModel) and _is_trained(role))
    head = (
        f"profile {params.profile}: {len(stages)} stages of dvc.yaml, {len(cells)} runs with every matrix item counted"
    )
    table = filter(None, [costs_table(params, cells)])
    return "\n".join(map(str, [head, Finding("trained", trained or "no model"), *needs(params), *table]))


def needs(params: Any) -> Iterator[Finding]:
    """What the run needs of models, data and disk, and what to do where it is missing."""
    models = list(hub_models(params))
    yield from weights(models)
    if params.score.extractor == "inception":
        yield Finding("weights", "score: Inception weights of pytorch-fid, about 0.1 GB, fetched by their stage")
    for name, archive in params.data:
        if isinstance(archive, ArchiveParams):
            own = archive.source == "own"
            found, remedy = own_folder(params) if own else _archive(name, params.data.data_root, archive)
            yield Finding("data", f"{name}: {found}", remedy)
    yield disk(params, models)


def hub_models(params: Any) -> Iterator[Model]:
    """Every role whose `hub` is set, and further models of the sweep's presets."""
    from difflab.core.base.roles import cached_snapshot

    roles = list(_hub_refs(params, ""))
    seen = {hub.repo_id for _, hub in roles}
    names = dict.fromkeys(name for axes in params.sweep.presets.values() for name in axes.models)
    swept = [("sweep", hub) for name in names if (hub := known_pipelines()[name].hub) and hub.repo_id not in seen]
    for role, hub in roles + swept:
        yield Model(role, hub, cached_snapshot(hub) is not None)


def _hub_refs(group: BaseModel, path: str) -> Iterator[tuple[str, HubRef]]:
    for name, value in group:
        if isinstance(value, HubRef):
            yield path, value
        elif isinstance(value, BaseModel):
            yield from _hub_refs(value, f"{path}.{name}" if path else name)


def _is_trained(role: BaseModel) -> bool:
    """Whether the pipeline trains a role: it names no Hub repository and no file of weights."""
    if isinstance(role, ClassifiersParams):
        return any(classifier.weights is None for _, classifier in role)
    return getattr(role, "hub", None) is None


def weights(models: list[Model]) -> Iterator[Finding]:
    """Models of the Hugging Face Hub, and whether those that are not in its cache can be fetched."""
    from huggingface_hub import get_token
    from huggingface_hub.constants import HF_HUB_OFFLINE

    if not models:
        yield Finding("weights", "none to fetch, no account needed")
    for model in models:
        revision = model.hub.revision or "no pinned revision (the first run records the one that it gets)"
        size = f"about {model.gigabytes} GB" if model.gigabytes else "size not known"
        gated = model.hub.repo_id.startswith(GATED)
        remedy, place = "", "fetched by its stage" + (" with the token of HF_TOKEN" if gated else "")
        if model.cached:
            place = "in the cache, wholly or in part"
        elif HF_HUB_OFFLINE:
            place, remedy = "not in the cache", "HF_HUB_OFFLINE forbids to fetch it: unset it"
        elif gated and not get_token():
            url = f"https://huggingface.co/{model.hub.repo_id}"
            place, remedy = "not in the cache", f"a token in HF_TOKEN, of an account that accepted the licence at {url}"
        yield Finding("weights", f"{model.role}: {model.hub.repo_id} @ {revision}, {size}, {place}", remedy)


def _archive(name: str, root: str | None, archive: ArchiveParams) -> tuple[str, str]:
    """Where an archive comes from, found as `acquire` finds it, and what to do where it is missing ("" where it is not)."""
    if archive.source == "bundled":
        return "built from images inside scikit-learn and scikit-image, nothing to fetch", ""
    if archive.source == "download":
        return f"downloaded from {archive.url}", ""
    try:
        place = find_archive(name, root, archive)
        check_layout(name, place)
    except DifflabError as error:
        return f"{archive.path}: not there", str(error)
    return f"{place}: found", ""


def disk(params: Any, models: list[Model]) -> Finding:
    """Whether there is room for what takes more than the miniature does and is not here."""
    parts = {"models": sum(model.gigabytes or 0 for model in models if not model.cached)}
    if found := costs(params, addresses(values=params.model_dump(mode="json"))):
        parts["results at their peak"] = sum(cost.disk for cost in found) + max(cost.scratch for cost in found)
    elif params.data.celeba_hq.source != "bundled":
        examples = sum(split_rows(params))
        megabytes = STORED_SAMPLE_MB * (params.cache.latents.image_size / 1024) ** 2
        parts["latents and embeddings"] = examples * megabytes / 1000
    free, need = shutil.disk_usage(".").free / 1e9, sum(parts.values()) + SPACE_LEFT_GB
    listed = ", ".join(f"{name} {size:.1f} GB" for name, size in parts.items() if size)
    text = f"{free:.0f} GB free, about {need:.0f} GB needed" + (f" ({listed}; beside the archives)" if listed else "")
    return Finding("disk", text, "" if free > need else "free some space, or put the caches on another disk")


def runs(values: Mapping[str, Any], estimated: bool = True) -> str:
    """Which stages `difflab repro` would run with values of params.yaml. DVC looks at every file.

    Args:
        estimated: whether to say how long they take, by the times of the default profile.

    Raises:
        DifflabError: dvc.yaml or dvc.lock is missing or damaged.
    """
    from difflab.cli.changed import changed
    from difflab.cli.progress import remaining_seconds
    from difflab.cli.repro import default_jobs
    from difflab.cli.times import expected_seconds

    try:
        stale = _of_values(changed((), values), values)
    except DifflabError as error:
        if error.__cause__ is None:  # a damaged file; else DVC cannot tell now, as while it runs
            raise
        return f"to run: not known ({str(error).splitlines()[0].rstrip(' .:')})"
    if not stale:
        return "to run: nothing, all is up to date"
    count = Counter(stage.partition("@")[0] for stage in stale)
    listed = ", ".join(f"{name} x {n}" if n > 1 else name for name, n in count.items())
    if not estimated:
        return f"to run: {len(stale)} of them: {listed}"
    seconds, jobs = expected_seconds(stale), default_jobs()
    wall = max(max(remaining_seconds(stale, seconds).values()), sum(seconds.values()) / jobs)
    of = "at the estimates of the default profile"
    return f"to run: {len(stale)} of them, about {wall / 60:.0f} minutes with {jobs} at once {of}: {listed}"


def _of_values(stale: Mapping[str, list[str]], values: Mapping[str, Any]) -> dict[str, list[str]]:
    """The stages to run with the items that a matrix has by `values`; DVC looked at those that it has by params.yaml."""
    pipeline = str(Path("dvc.yaml").resolve())
    here = set(addresses(pipeline))
    names = [name for name in addresses(pipeline, values) if name in stale or name not in here]
    return {name: [n for n in stale.get(name, []) if n in names] for name in names}

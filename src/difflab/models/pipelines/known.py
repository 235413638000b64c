"""Text-to-image models by the names of sweep.known: the one that the pipeline trains, and released ones."""

from pathlib import Path
from typing import TYPE_CHECKING

from difflab.core.base.errors import DifflabError
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.models.pipelines.prompted import PromptedSampler, load_pipeline
from difflab.models.pointers import fetch
from difflab.models.roles import resolve

if TYPE_CHECKING:
    from difflab.core.params.common import RuntimeParams
    from difflab.models.params import PipelineParams

TRAINED = Path("models/zoo/diffusion")


def find(known: "dict[str, PipelineParams]", name: str) -> str:
    """The short name of a model that is given by it or by its repository."""
    short = {name: name for name in known} | {m.hub.repo_id: n for n, m in known.items() if m.hub is not None}
    if name not in short:
        raise DifflabError(f"unknown model '{name}': one of {', '.join(known)} (conf/study/sweep.yaml says more)")
    return short[name]


def load_prompted(model: "PipelineParams", runtime: "RuntimeParams", *, seed: int, batch_size: int) -> PromptedSampler:
    """The sampler of a model, which is downloaded where it has to be."""
    folder = resolve(TRAINED) if model.hub is None else fetch(model.hub)
    pipeline = load_pipeline(folder, resolve_device(runtime.device), resolve_dtype(runtime.dtype))
    return PromptedSampler(pipeline, distilled=model.distilled, seed=seed, batch_size=batch_size)

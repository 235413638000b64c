"""`difflab attention`: where the words of a prompt attend to in the picture that it makes, and what a model groups."""

import json
import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from difflab.attention.affinity import AFFINITIES, Affinity
from difflab.attention.capture import attention_layers, check_numbers
from difflab.attention.views import Choice, Source, patch_source, word_sources
from difflab.cli import attention_figures
from difflab.cli.attention_capture import Sampling, adapters_of, capture, check_sampling, layouts
from difflab.cli.attention_series import is_series, series_attention
from difflab.cli.bases import STUDY, find_base
from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError, suggestion
from difflab.core.base.files import atomic_path, write_bytes
from difflab.core.base.runtime import resolve_device, resolve_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffusers import StableDiffusion3Pipeline
    from torch import Tensor

    from difflab.attention.layout import Layout
    from difflab.attention.views import Made
    from difflab.study import Params

PICTURE, TENSORS, RECORDS = "attention.png", "attention.safetensors", "capture"
CLUSTERS, CLUSTERS_TENSORS = "clusters.png", "clusters.safetensors"

Shown = tuple[bytes, "dict[str, Tensor]", str]
"""A figure as a PNG, the tensors behind it, and what they show in words."""


@dataclass(frozen=True)
class Request:
    """What to show; None takes all blocks, steps or heads, or the study's sampling.

    Attributes:
        models: "sd3", the base alone, or folders of its adapters; of two the difference is shown too.
        words: of the prompts; none: all of them, unless patches are asked about.
        patches: (row, column), from 0.
        prompt: number of the prompt that words and patches are of; None: each that has the word, the first of patches.
        clusters: the number of eigenvectors behind colours of patches, which are shown in place of heat maps.
    """

    prompts: tuple[str, ...]
    models: tuple[str, ...] = (STUDY,)
    words: tuple[str, ...] = ()
    patches: tuple[tuple[int, int], ...] = ()
    prompt: int | None = None
    affinity: Affinity = "attention"
    across: bool = False
    blocks: tuple[int, ...] | None = None
    steps: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    clusters: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    size: int | None = None
    seed: int = 0

    @property
    def choice(self) -> Choice:
        return Choice(self.affinity, self.blocks, self.steps, self.heads, self.across)

    def sampling(self, params: "Params") -> Sampling:
        steps, scale = self.num_inference_steps, self.guidance_scale
        steps = params.generate.num_inference_steps if steps is None else steps
        scale = params.generate.guidance_scale if scale is None else scale
        return Sampling(self.prompts, self.models or (STUDY,), steps, scale, self.seed)


def attention(request: Request, out: Path, params: "Params", keep: bool = False) -> list[str]:
    """Generate the pictures and write `out`/attention.png and .safetensors, or those of clusters; return lines to print.

    With `keep`, queries, keys, values and outputs stay in `out`/capture.

    Raises:
        DifflabError: an empty prompt, a word that is in none, a patch, block, step or head that does not exist, a size
            that the model does not take, an adapter of another base, or an affinity that does not exist.
    """
    if request.affinity not in AFFINITIES:
        near = suggestion(request.affinity, AFFINITIES)
        raise DifflabError(f"--affinity {request.affinity} does not exist: one of {', '.join(AFFINITIES)}{near}")
    if out.exists() and not out.is_dir():
        raise DifflabError(f"--out {out} is a file: name a folder")
    runtime.configure(params.runtime.num_threads)
    if any(map(is_series, request.models)):
        if keep:
            raise DifflabError("--keep is for the transformer: of a U-Net only the maps are kept")
        return _written(out, PICTURE, TENSORS, series_attention(request, params), request)
    sampling = request.sampling(params)
    check_sampling(sampling, request.blocks, request.steps)
    base = find_base(STUDY, "transformer", params)
    pipeline = base.load(resolve_device(params.runtime.device), resolve_dtype(params.runtime.dtype))
    placed = layouts(request.prompts, base, pipeline)
    sources = [] if request.clusters is not None else sources_of(request, placed)
    check_size(request.size, pipeline)
    attention_layers(pipeline.transformer, request.blocks)
    check_numbers("head", request.heads or (), pipeline.transformer.config.num_attention_heads, "a layer")
    adapters_of(sampling.models, base, pipeline)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".capture-", dir=out) as temporary:
        folder = Path(temporary) / RECORDS
        kept = {"blocks": request.blocks, "steps": request.steps, "folder": folder}
        made = capture(sampling, base, pipeline, **kept, progress=not runtime.quiet())
        png, numbers = (PICTURE, TENSORS) if request.clusters is None else (CLUSTERS, CLUSTERS_TENSORS)
        lines = _written(out, png, numbers, shown(request, made, sources, params), request)
        if keep:
            shutil.rmtree(out / RECORDS, ignore_errors=True)
            folder.rename(out / RECORDS)
            lines.append(f"wrote {out / RECORDS}: queries, keys, values and outputs")
    return lines


def _written(out: Path, png: str, numbers: str, found: Shown, request: Request) -> list[str]:
    """Write a figure and its tensors; the line to print."""
    picture, tensors, said = found
    with atomic_path(out / numbers) as temporary:
        temporary.write_bytes(tensor_bytes(tensors, request))
    write_bytes(out / png, picture)
    return [f"wrote {out / png} and {out / numbers}: {said}"]


def shown(request: Request, made: "Sequence[Made]", sources: "Sequence[Source]", params: "Params") -> Shown:
    """What is shown of pictures that are made."""
    if request.clusters is not None:
        scale = params.attention_maps.similarity_scale
        coloured = attention_figures.clustered(made, request.choice, request.clusters, scale)
        said = f"clusters by {request.clusters} eigenvectors"
        return attention_figures.clusters_png(made, coloured), attention_figures.clusters_tensors(made, coloured), said
    picture = attention_figures.attention_png(made, sources, request.choice)
    said = ", ".join(repr(name) for name in dict.fromkeys(source.name for source in sources))
    return picture, attention_figures.attention_tensors(made, sources, request.choice), f"{request.affinity} of {said}"


def sources_of(request: Request, placed: "Sequence[Layout]") -> list[Source]:
    """The words and patches that are asked about; without any, every word."""
    found = [patch_source(placed, row, column, request.prompt) for row, column in request.patches]
    if request.words or not found:
        asked = word_sources(placed, request.words, request.prompt)
        found = [replace(one, positions=word_positions(placed[one.prompt], one.name)) for one in asked] + found
    return list(dict.fromkeys(found))


def word_positions(placed: "Layout", word: str) -> tuple[int, ...]:
    """The tokens of a word: of each encoder those that are the word and no more, else all that have a part in it.

    So "a" is the article and no letter of "cat", and "four" the token "handwritten four" where there is no other.

    Raises:
        DifflabError: the prompt does not have the word, or none of it was read.
    """
    whole = [match.span() for match in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", placed.prompt, re.IGNORECASE)]
    parts = placed.within(whole, word) if whole else placed.positions(word)
    found: list[int] = []
    for encoder in dict.fromkeys(token.encoder for token in placed.tokens):
        own = [token for token in placed.tokens if token.encoder == encoder and token.position in parts]
        found += [t.position for t in own if t.text.lower() == word.lower()] or [t.position for t in own]
    return tuple(found)


def tensor_bytes(tensors: "dict[str, Tensor]", request: Request) -> bytes:
    """A safetensors file, the same bytes every time."""
    from safetensors.torch import save

    shown = {"affinity": request.affinity} if request.clusters is None else {"eigenvectors": request.clusters}
    told = {"prompts": request.prompts, "models": request.models, "seed": request.seed, **shown}
    return save(tensors, metadata={"request": json.dumps(told)})  # one entry: several have no fixed order


def check_size(size: int | None, pipeline: "StableDiffusion3Pipeline") -> None:
    """Refuse a picture of another size than the base was trained on."""
    side = pipeline.transformer.config.sample_size * pipeline.vae_scale_factor
    if size is not None and size != side:
        raise DifflabError(f"--size {size}: this base makes pictures of {side} x {side} pixels only")

"""`difflab attention`: where the words of a prompt attend to in the picture that it makes."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from difflab.attention import heatmap
from difflab.attention.affinity import AFFINITIES, Affinity, tokens
from difflab.attention.capture import attention_layers, check_numbers
from difflab.attention.layout import Layout, check_length, layout
from difflab.attention.pictures import load_tokenizers
from difflab.attention.records import StoredRecords, streamed
from difflab.core.base import roles, runtime
from difflab.core.base.errors import DifflabError, suggestion
from difflab.core.base.files import atomic_path, png_bytes, read_json, write_bytes
from difflab.models.sampling.latent_images import decode, initial_noise
from difflab.sd3.artifacts.prompt_embeds import TEXT, combine, open_prompts
from difflab.sd3.caching.prompt_writer import TextEncoders
from difflab.sd3.sampling import Generator, load_generator, sample

if TYPE_CHECKING:
    from torch import Tensor

    from difflab.study import Params

PICTURE, TENSORS, RECORDS = "attention.png", "attention.safetensors", "capture"
ID = "prompt-00000"


@dataclass(frozen=True)
class Request:
    """What to show; None takes all words, blocks, steps or heads, or the study's sampling.

    Attributes:
        adapter: the folder of one of the study's trainings; None: the base alone.
    """

    prompt: str
    words: tuple[str, ...] = ()
    affinity: Affinity = "attention"
    blocks: tuple[int, ...] | None = None
    steps: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    adapter: Path | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    size: int | None = None
    seed: int = 0


def attention(request: Request, out: Path, params: "Params", keep: bool = False) -> list[str]:
    """Generate the picture of a prompt and write `out`/attention.png and .safetensors; return the lines to print.

    The tensors: `picture` uint8 [H, W, 3]; for each word `heat/<word>` float32 [h, w] and `row/<word>` float32 [T], its
    affinity to all tokens of the picture and the prompt.
    With `keep`, queries, keys, values and outputs stay in `out`/capture.

    Raises:
        DifflabError: an empty prompt, a word that is not in it, a block, step or head that does not exist, a size that
            the model does not take, an adapter of another base, or an affinity that does not exist.
    """
    from safetensors.torch import save_file

    if request.affinity not in AFFINITIES:
        near = suggestion(request.affinity, AFFINITIES)
        raise DifflabError(f"--affinity {request.affinity} does not exist: one of {', '.join(AFFINITIES)}{near}")
    if out.exists() and not out.is_dir():
        raise DifflabError(f"--out {out} is a file: name a folder")
    runtime.configure(params.runtime.num_threads)
    steps = params.generate.num_inference_steps if request.num_inference_steps is None else request.num_inference_steps
    scale = params.generate.guidance_scale if request.guidance_scale is None else request.guidance_scale
    check_sampling(request, steps, scale)
    generator = load_generator(open_prompts([]), params.runtime, request.seed, 1)
    placed = place(request.prompt, generator, params.cache.prompts.max_sequence_length)
    words = {word: placed.positions(word) for word in request.words or placed.words()}
    check_size(request.size, generator)
    attention_layers(generator.transformer, request.blocks)
    check_numbers("head", request.heads or (), generator.transformer.config.num_attention_heads, "a layer")
    generator.use_adapter(request.adapter)
    folder = out / RECORDS
    picture = captured_picture(request, generator, params, steps, scale, folder)
    given = tokens([(StoredRecords(folder), 0)], blocks=request.blocks, steps=request.steps, heads=request.heads)
    rows = {word: heatmap.word_rows(given, request.affinity, positions) for word, positions in words.items()}
    heat = {word: heatmap.on_patches(row, placed) for word, row in rows.items()}
    tensors = {"picture": torch.from_numpy(picture.copy())}
    tensors |= {f"heat/{word}": values for word, values in heat.items()}
    tensors |= {f"row/{word}": values for word, values in rows.items()}
    with atomic_path(out / TENSORS) as temporary:
        save_file(tensors, temporary, metadata={"prompt": request.prompt, "affinity": request.affinity})
    drawn = [picture, *(heatmap.overlay(picture, values) for values in heat.values())]
    write_bytes(out / PICTURE, png_bytes(heatmap.sheet([(request.prompt, drawn)], ["picture", *heat])))
    if not keep:
        shutil.rmtree(folder)
    kept = f", {folder}" if keep else ""
    return [f"wrote {out / PICTURE} and {out / TENSORS}{kept}: {request.affinity} of {', '.join(map(repr, words))}"]


def check_sampling(request: Request, steps: int, scale: float) -> None:
    """Refuse a sampling that cannot be, and steps that it does not have."""
    if steps < 1:
        raise DifflabError(f"{steps} sampling steps: take one or more")
    if not 1 <= scale <= 100:
        raise DifflabError(f"{scale:g} is not a valid guidance scale: take 1 (none) to 100")
    check_numbers("step", request.steps or (), steps, "this sampling")


def check_size(size: int | None, generator: Generator) -> None:
    """Refuse a picture of another size than the base was trained on."""
    if size is not None and size != generator.side:
        raise DifflabError(
            f"--size {size}: this base makes pictures of {generator.side} x {generator.side} pixels only"
        )


def place(prompt: str, generator: Generator, max_sequence_length: int) -> Layout:
    """The tokens of a prompt at the length of training."""
    meta, config = read_json(generator.prompts.folder / "meta.json"), generator.transformer.config
    check_length(max_sequence_length, meta["max_sequence_length"])
    side = config.sample_size // config.patch_size
    tokenizers = load_tokenizers(roles.resolve(TEXT), meta["clip_length"], meta["max_sequence_length"])
    return layout(prompt, (side, side), tokenizers)


def captured_picture(
    request: Request, generator: Generator, params: "Params", steps: int, scale: float, folder: Path
) -> np.ndarray:
    """Sample the picture, uint8 [H, W, 3], and stream what its attention layers compute to a folder."""
    config = generator.transformer.config
    shape = config.in_channels, config.sample_size, config.sample_size
    noise = initial_noise([ID], shape, request.seed, 0)
    both = encoded([request.prompt, ""], params)
    given = [tensor.to(generator.vae.device) for tensor in (noise, *(t[:1] for t in both), *(t[1:] for t in both))]
    rows = slice(1, None) if scale != 1 else slice(None)
    facts = {"prompt": request.prompt, "adapter": str(request.adapter or "")}
    with streamed(generator.transformer, folder, facts, blocks=request.blocks, steps=request.steps, rows=rows):
        latents = sample(generator.transformer, generator.scheduler, steps, scale, *given, ids=[ID])
    return decode(generator.vae, latents, [ID])[0]


def encoded(prompts: Sequence[str], params: "Params") -> "tuple[Tensor, Tensor]":
    """The embeddings [n, L, d] and [n, p] of prompts, in the precision in which the study keeps them."""
    settings = params.cache.prompts
    encoders = TextEncoders(
        roles.resolve(TEXT), settings.max_sequence_length, runtime.resolve_device(params.runtime.device),
        runtime.resolve_dtype(settings.dtype), settings.offload,
    )  # fmt: skip
    return combine(encoders.encode(prompts, len(prompts)))

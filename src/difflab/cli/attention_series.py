"""`difflab attention --model models/ddpm/text/seed-0`: where the words act in the prompted U-Net of the DDPM series.

Its attention goes one way: places of the picture read from the words, in blocks of different grids. A word's map is how
much each place reads from it, mean over the chosen heads, blocks and steps, on the finest grid.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from difflab.attention import heatmap
from difflab.attention.affinity import affinities, tokens
from difflab.attention.capture import check_numbers
from difflab.attention.records import recorded
from difflab.cli.attention_figures import SIDE
from difflab.cli.sampling import PROMPT_ID, check_prompt
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import png_bytes
from difflab.core.base.runtime import resolve_device
from difflab.ddpm.common.networks import DESCRIPTION
from difflab.ddpm.common.prompts import words_of
from difflab.ddpm.sampling.series_sampler import load_sampler

if TYPE_CHECKING:
    from torch import Tensor

    from difflab.attention.records import Records
    from difflab.cli.attention import Request
    from difflab.ddpm.sampling.series_sampler import SeriesSampler
    from difflab.study import Params

SETTING = "text"


@dataclass(frozen=True)
class Read:
    """A picture uint8 [H, W, 3] with the map of each word that is asked about, float32 [h, w]."""

    prompt: str
    picture: np.ndarray
    maps: "dict[str, Tensor]"


def is_series(model: str) -> bool:
    """Whether a name of --model is a network of the DDPM series."""
    return (Path(model) / DESCRIPTION).exists()


def series_attention(request: "Request", params: "Params") -> "tuple[bytes, dict[str, Tensor], str]":
    """The figure as a PNG, the tensors `<prompt>/picture` and `<prompt>/<word>/heat`, and what they show in words.

    Raises:
        DifflabError: the network reads no prompts, or something is asked of it that only a transformer has.
    """
    check_request(request)
    folder = Path(request.models[0])
    sampler = load_sampler(folder, resolve_device(params.runtime.device))
    if not sampler.prompted:
        raise DifflabError(f"{folder} reads no prompts, so no word acts in it: take models/ddpm/{SETTING}/seed-0")
    shown = [read(request, number, sampler, params) for number in range(len(request.prompts))]
    words = list(dict.fromkeys(word for one in shown for word in one.maps))
    rows, tensors = [], {}
    for number, one in enumerate(shown):
        blank = np.full((SIDE, SIDE, 3), 255, np.uint8)
        drawn = [heatmap.overlay(one.picture, one.maps[word], SIDE) if word in one.maps else blank for word in words]
        rows.append((one.prompt, [one.picture, *drawn]))
        tensors[f"{number}/picture"] = torch.from_numpy(one.picture.copy())
        tensors |= {f"{number}/{word}/heat": values for word, values in one.maps.items()}
    return (
        png_bytes(heatmap.sheet(rows, ["picture", *words], SIDE)),
        tensors,
        f"attention to {', '.join(map(repr, words))}",
    )


def check_request(request: "Request") -> None:
    """Refuse, as a DifflabError, what only a transformer whose tokens all read from each other can show."""
    if len(request.models) > 1:
        raise DifflabError("networks of the DDPM series are shown one at a time: name one with --model")
    asked = {
        "--patch": bool(request.patches), "--across": request.across, "--clusters": request.clusters is not None,
        f"--affinity {request.affinity}": request.affinity != "attention", "--size": request.size is not None,
    }  # fmt: skip
    if unfit := [name for name, given in asked.items() if given]:
        raise DifflabError(
            f"{unfit[0]} is for the transformer: in this U-Net words do not look, they are read; ask for words with --token"
        )
    check_numbers("prompt", [] if request.prompt is None else [request.prompt], len(request.prompts), "this request")


def read(request: "Request", number: int, sampler: "SeriesSampler", params: "Params") -> Read:
    """Sample the picture of a prompt and keep what each place read from its words."""
    prompt = request.prompts[number]
    check_prompt(prompt)
    own = words_of(prompt)
    asked = [word.lower() for word in request.words] or list(dict.fromkeys(own))
    if request.prompt not in (None, number):
        asked = []
    if missing := [word for word in asked if word not in own]:
        raise DifflabError(f"'{missing[0]}' is not in the prompt as the model reads it: its tokens are {_listed(own)}")
    given = {"num_inference_steps": request.num_inference_steps, "guidance_scale": request.guidance_scale}
    settings = params.ddpm_sample[SETTING].model_copy(update={k: v for k, v in given.items() if v is not None})
    steps, scale = settings.num_inference_steps, settings.guidance_scale
    if steps < 1 or not 0 <= scale <= 100:
        raise DifflabError(f"{steps} steps at guidance {scale:g}: take one step or more, and a guidance of 0 to 100")
    guided = scale != 1
    options = {"blocks": request.blocks, "steps": request.steps, "rows": slice(1, None) if guided else slice(None)}
    with recorded(sampler.denoiser.network.unet, **options) as records:
        (picture,) = sampler.images([PROMPT_ID], [prompt], settings, seed=request.seed, batch_size=1)
    maps = word_maps(records, request.heads)
    places = {word: [n for n, one in enumerate(own) if one == word] for word in asked}
    return Read(prompt, picture, {word: maps[numbers].mean(0) for word, numbers in places.items()})


def word_maps(records: "Records", heads: tuple[int, ...] | None = None) -> "Tensor":
    """What each place reads from each token of the prompt, float32 [tokens, h, w]; over the tokens it sums to 1."""
    maps = []
    for layer in (layer for layer in records.layers if layer.kind == "prompt"):
        found = affinities(tokens([(records, 0)], blocks=[layer.block], heads=heads, kind="prompt"), "attention")
        side = math.isqrt(len(found))
        maps.append(found.T.reshape(1, -1, side, side))
    finest = max(one.shape[-1] for one in maps)
    return torch.cat([functional.interpolate(one, size=(finest, finest), mode="nearest") for one in maps]).mean(0)


def _listed(words: list[str]) -> str:
    return ", ".join(map(repr, dict.fromkeys(words)))

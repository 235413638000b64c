"""The cells of the study, where their trainings lie, and their names for people."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

PRETRAINED = "pretrained"
ADAPTERS = (PRETRAINED, "minus", "zero", "plus")
FINE_TUNED = ADAPTERS[1:]
CAPTION_NAMES = {"blip2": "BLIP-2 captions", "llama3": "Llama 3 captions", "own": "own captions"}
"""The kinds of captions, each with its name for people. A kind's name is one lower-case word."""
CAPTIONS = tuple(CAPTION_NAMES)
OWN = "own"  # those that came with the pictures, where some did
BOTH = "both"  # of an adapter that was trained on a random one of `PUBLISHED` for each sample
PUBLISHED = ("blip2", "llama3")
MINUS = "\N{MINUS SIGN}"


def captions_path(captions: str) -> Path:
    """The table of one kind of captions; own ones lie beside the pictures that they came with."""
    return Path("data/celeba_hq/captions.parquet" if captions == OWN else f"data/captions/{captions}.parquet")


def kinds() -> tuple[str, ...]:
    """The kinds of captions that this study has: own ones only where pictures came with some."""
    return tuple(kind for kind in CAPTIONS if kind != OWN or captions_path(OWN).exists())


def read_kind(kind: str) -> "pd.DataFrame":
    """The captions of one kind of every picture, see `core.base.store.captions`.

    A picture that came without a caption has its BLIP-2 caption as its own, in every variant.
    """
    import pandas as pd

    from difflab.core.base.store.captions import read_captions

    found = read_captions(captions_path(kind))
    if kind != OWN:
        return found
    short = read_captions(captions_path("blip2"))
    other = short[~short["id"].isin(found["id"])]
    return pd.concat([found, *(other.assign(variant=v) for v in found["variant"].unique())], ignore_index=True)


def grid_path(adapter: str, captions: str) -> Path:
    """The picture of the first images that an adapter, or the base, made for one kind of captions."""
    return Path("plots/grids") / adapter / f"{captions}.png"


def adapter_folder(captions: str, logit_mean: str, training: int) -> Path:
    """The adapter of one training (a number of finetune.seeds) of a cell, by the captions that it was trained on."""
    return Path("models/finetune") / f"{captions}-{logit_mean}" / f"seed-{training}"


def archive_path(adapter: str, captions: str, training: int) -> Path:
    """The images of one training, or of the base with that training's noise; draws are the archive's seeds."""
    return Path("data/generated") / adapter / captions / f"training-{training}.zip"


def signed(value: float) -> str:
    """A number with a typographic minus: -0.5 as "−0.5"."""
    return f"{value:g}".replace("-", MINUS)


def adapter_name(adapter: str, logit_means: dict[str, float]) -> str:
    """ "pretrained", or "m = −0.5"."""
    return adapter if adapter == PRETRAINED else f"m = {signed(logit_means[adapter])}"


def mean_on_sigma(logit_mean: float, convention: str) -> float:
    """The mean of logit(sigma), before the shift, that `logit_mean` stands for.

    diffusers' scripts draw an index into timesteps that run from noise to image, which turns the sign round.
    """
    return 0.0 - logit_mean if convention == "diffusers" else logit_mean


def median_sigma(logit_mean: float, convention: str, shift: float) -> float:
    """The median of the trained sigma: logit(sigma) ~ N(ln(shift) + mean on sigma, std^2)."""
    return 1 / (1 + math.exp(-math.log(shift) - mean_on_sigma(logit_mean, convention)))

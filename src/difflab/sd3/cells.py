"""The cells of the study and their names for people."""

import math

ADAPTERS = ("pretrained", "minus", "zero", "plus")
FINE_TUNED = ADAPTERS[1:]
CAPTIONS = ("blip2", "llama3")
MINUS = "\N{MINUS SIGN}"
CAPTION_NAMES = {"blip2": "BLIP-2 captions", "llama3": "Llama 3 captions"}


def signed(value: float) -> str:
    """A number with a typographic minus: -0.5 as "−0.5"."""
    return f"{value:g}".replace("-", MINUS)


def adapter_name(adapter: str, logit_means: dict[str, float]) -> str:
    """ "pretrained", or "m = −0.5"."""
    return adapter if adapter == "pretrained" else f"m = {signed(logit_means[adapter])}"


def mean_on_sigma(logit_mean: float, convention: str) -> float:
    """The mean of logit(sigma), before the shift, that `logit_mean` stands for.

    diffusers' scripts draw an index into timesteps that run from noise to image, which turns the sign round.
    """
    return 0.0 - logit_mean if convention == "diffusers" else logit_mean


def median_sigma(logit_mean: float, convention: str, shift: float) -> float:
    """The median of the trained sigma: logit(sigma) ~ N(ln(shift) + mean on sigma, std^2)."""
    return 1 / (1 + math.exp(-math.log(shift) - mean_on_sigma(logit_mean, convention)))

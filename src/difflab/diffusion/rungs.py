"""The network of each rung of the ladder, and what it is told about an image."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from difflab.diffusion.conditions import (
    ClassConditions,
    Conditions,
    DigitPrompts,
    class_numbers,
    digit_tokens,
)
from difflab.diffusion.ladder import BY_CLASS
from difflab.diffusion.networks import build_conditional_unet, build_unet
from difflab.diffusion.prompts import PromptedUNet, PromptEncoder, Vocabulary, digit_of, digit_prompts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from difflab.params.ddpm import RungParams


def build_network(
    rung: str, params: "RungParams", *, size: int, channels: int, classes: "Sequence[str]", seed: int
) -> nn.Module:
    """A new network for a rung; `size` and `channels` are those of its input, which may be latents."""
    if rung == "text":
        vocabulary = Vocabulary.of(prompt for digit in range(10) for prompt in digit_prompts(digit))
        unet = build_conditional_unet(
            params.unet, size=size, channels=channels, cross_attention_dim=params.prompt_dim, seed=seed
        )
        return PromptedUNet(unet, PromptEncoder(vocabulary, params.prompt_dim, seed))
    count = len(classes) if rung in BY_CLASS else None
    return build_unet(params.unet, size=size, channels=channels, seed=seed, num_classes=count)


def conditions(
    rung: str, network: nn.Module, labels: "Sequence[str]", classes: "Sequence[str]"
) -> Conditions | None:
    """What the network of a rung is told about images with the class names `labels`."""
    if rung in BY_CLASS:
        return ClassConditions(class_numbers(labels, classes), len(classes))
    if rung == "text":
        digits = torch.tensor([digit_of(label) for label in labels])  # classes have an order of their own
        return DigitPrompts(digits, digit_tokens(network.prompts.vocabulary))
    return None

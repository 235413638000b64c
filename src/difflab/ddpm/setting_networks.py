"""The network of each setting of the DDPM series, and what it is told about an image."""

from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from difflab.ddpm.networks.conditions import ClassConditions, Conditions, DigitPrompts, class_numbers, digit_tokens
from difflab.ddpm.networks.networks import build_conditional_unet, build_unet
from difflab.ddpm.networks.prompts import PromptedUNet, PromptEncoder, Vocabulary, digit_of, digit_prompts
from difflab.ddpm.settings import BY_CLASS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from difflab.ddpm.params.series import SettingParams, TextSettingParams


def build_network(
    setting: str, params: "SettingParams", *, size: int, channels: int, classes: "Sequence[str]", seed: int
) -> nn.Module:
    """A new network for a setting; `size` and `channels` are those of its input, which may be latents."""
    if setting == "text":
        vocabulary = Vocabulary.of(prompt for digit in range(10) for prompt in digit_prompts(digit))
        width = cast("TextSettingParams", params).prompt_dim
        unet = build_conditional_unet(params.unet, size=size, channels=channels, cross_attention_dim=width, seed=seed)
        return PromptedUNet(unet, PromptEncoder(vocabulary, width, seed))
    count = len(classes) if setting in BY_CLASS else None
    return build_unet(params.unet, size=size, channels=channels, seed=seed, num_classes=count)


def conditions(
    setting: str, network: nn.Module, labels: "Sequence[str]", classes: "Sequence[str]"
) -> Conditions | None:
    """What the network of a setting is told about images with the class names `labels`."""
    if setting in BY_CLASS:
        return ClassConditions(class_numbers(labels, classes), len(classes))
    if setting == "text":
        digits = torch.tensor([digit_of(label) for label in labels])  # classes have an order of their own
        return DigitPrompts(digits, digit_tokens(network.prompts.vocabulary))
    return None

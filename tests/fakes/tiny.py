"""Pixel models of the smallest size: parameters, networks whose output is not zero, and images to learn."""

import torch
from torch import Tensor, nn

from difflab.core.base import rng
from difflab.ddpm.common import schedule
from difflab.ddpm.common.conditions import PromptedUNet, PromptEncoder, Vocabulary
from difflab.ddpm.common.denoiser import Denoiser
from difflab.ddpm.common.networks import build_unet
from difflab.ddpm.common.prompts import digit_prompts
from difflab.ddpm.params import (
    ImageTrainingParams,
    ObjectiveParams,
    ScheduleParams,
    SettingParams,
    SettingSamplingParams,
    TextSettingParams,
    UNetParams,
)

SIZE, CLASSES, KINDS = 8, ["cat", "dog", "owl"], ("plain", "by class", "prompted", "drunet")


def unet_params(**changes) -> UNetParams:
    values = {
        "kind": "unet", "patch_size": 1, "block_out_channels": [8, 8], "layers_per_block": 1, "attention_levels": [],
        "norm_num_groups": 4, "attention_head_dim": 4,
    }  # fmt: skip
    return UNetParams(**{**values, **changes})


def schedule_params(**changes) -> ScheduleParams:
    values = {
        "kind": "linear", "num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 2e-2,
        "sigma_min": 0.01, "sigma_max": 50.0,
    }  # fmt: skip
    return ScheduleParams(**{**values, **changes})


def objective(**changes) -> ObjectiveParams:
    values = {
        "prediction": "v", "weighting": "v", "snr_gamma": 5.0, "sigma_data": 0.5,
        "density": "timestep", "log_mean": -1.2, "log_std": 1.2,
    }  # fmt: skip
    return ObjectiveParams(**{**values, **changes})


def training(**changes) -> ImageTrainingParams:
    values = {
        "steps": 8, "batch_size": 4, "learning_rate": 1e-3, "weight_decay": 1e-2, "warmup_steps": 2,
        "max_grad_norm": 1.0, "ema_decay": 0.0, "flip": False, "condition_dropout": 0.0,
        "channels_last": False, "validation_interval": 4, "checkpoint_interval": 4, "log_interval": 4,
    }  # fmt: skip
    return ImageTrainingParams(**{**values, **changes})


def setting_params(setting: str) -> SettingParams:
    values = {
        "seeds": [0], "image_size": SIZE, "channels": 1, "unet": unet_params(attention_levels=[1]),
        "schedule": schedule_params(), "objective": objective(), "training": training(),
    }  # fmt: skip
    return TextSettingParams(**values, prompt_dim=8) if setting == "text" else SettingParams(**values)


def sampling(**changes) -> SettingSamplingParams:
    values = {
        "num_images": 4, "seeds": [0], "sampler": "ddim", "num_inference_steps": 5, "guidance_scale": 1.0,
        "eta": 0.0,
    }  # fmt: skip
    return SettingSamplingParams(**{**values, **changes})


def digit_vocabulary() -> Vocabulary:
    return Vocabulary.of(prompt for digit in range(10) for prompt in digit_prompts(digit))


def network(kind: str = "plain", channels: int = 1, seed: int = 0, **changes) -> nn.Module:
    """A new network of one of `KINDS`, awake: built ones have a last convolution of zeros."""
    common = {"size": SIZE, "channels": channels, "seed": seed}
    if kind == "prompted":
        params = unet_params(**{"attention_levels": [0, 1], **changes})
        unet = build_unet(params, cross_attention_dim=8, **common)
        made = PromptedUNet(unet, PromptEncoder(digit_vocabulary(), 8, seed))
    else:
        sizes = unet_params(**({"kind": "drunet"} if kind == "drunet" else {}), **changes)
        unet = made = build_unet(sizes, num_classes=len(CLASSES) if kind == "by class" else 0, **common)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(seed)
        unet.conv_out.weight.copy_(0.1 * torch.randn(unet.conv_out.weight.shape, generator=generator))
    return made


def denoiser(kind: str = "plain", prediction: str = "v", **changes) -> Denoiser:
    patch_size = changes.get("patch_size", 1)
    return Denoiser(network(kind, **changes), schedule.make(schedule_params()), prediction, patch_size)


def told(kind: str, count: int) -> dict[str, Tensor] | None:
    """A condition for some images: another one for each."""
    if kind == "by class":
        return {"class_labels": torch.arange(count) % len(CLASSES)}
    if kind == "prompted":
        return {"tokens": digit_vocabulary().encode([digit_prompts(n % 10)[n % 6] for n in range(count)])}
    return None


def names(count: int, prefix: str = "image") -> list[str]:
    return [f"{prefix}-{n:05d}" for n in range(count)]


def blobs(ids: list[str]) -> Tensor:
    """A bright spot at a place of its own on each dark image: uint8 [n, 1, 8, 8]."""
    centre = (0.25 + 0.5 * rng.uniform(rng.id_keys(ids), (2, 1, 1))) * SIZE
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    distance = (y - centre[:, 0]).square() + (x - centre[:, 1]).square()
    return (255 * torch.exp(-distance / 4)).round().to(torch.uint8)[:, None]


def noise(count: int, channels: int = 1, seed: int = 0) -> Tensor:
    return torch.randn(count, channels, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))

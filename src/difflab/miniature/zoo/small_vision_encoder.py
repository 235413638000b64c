"""The miniature's vision encoder: a small ViT that learns to name the digit and the photograph of a picture."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.files import sha256_bytes
from difflab.core.base.store.tensors import to_tensor
from difflab.miniature.data import blend
from difflab.miniature.data.vocabulary import DIGIT, PHOTO
from difflab.miniature.params import TransformerSize, ZooVisionEncoderParams
from difflab.miniature.zoo.vit import build_vit
from difflab.models.vision.vision_encoder import VisionEncoder


def build(settings: ZooVisionEncoderParams, seed: int) -> VisionEncoder:
    """A new vision encoder with weights drawn from the seed."""
    torch.manual_seed(rng.key(seed, "init", "vision_encoder"))
    sizes = {*TransformerSize.model_fields, "image_size", "patch_size"}
    vit = build_vit(**settings.model_dump(include=sizes))
    return VisionEncoder(vit, {classes.name: classes.columns for classes in (DIGIT, PHOTO)})


def batch_loss(
    vision_encoder: VisionEncoder, indices: np.ndarray, seed: int, settings: ZooVisionEncoderParams
) -> Callable[[int], dict[str, Tensor]]:
    """The loss of a step, on pictures drawn afresh from the digits `indices` (rows of `sources.digits()`).

    Training starts on plain digits, whose shape is easy to see, and they give way to composites.
    """

    def loss(step: int) -> dict[str, Tensor]:
        count = settings.training.batch_size
        plain = round(count * plain_share(step, settings))
        images, digits, photos = training_batch(indices, seed, step, plain, count - plain, settings.image_size)
        device = vision_encoder.vit.device
        logits, digits, photos = vision_encoder(images.to(device)), digits.to(device), photos.to(device)
        options = {"label_smoothing": settings.label_smoothing, "reduction": "none"}
        digit_losses = F.cross_entropy(logits[DIGIT.name], digits, **options)
        photo_losses = F.cross_entropy(logits[PHOTO.name], photos, ignore_index=-1, **options)
        right = (logits[DIGIT.name].argmax(1) == digits).float().mean()
        return {"loss": (digit_losses + settings.photo_weight * photo_losses).mean(), "digit_accuracy": right}

    return loss


def pictures_hash(indices: np.ndarray, size: int) -> str:
    """The sha256 of a picture of each of the digits `indices`: of the data and of how pictures are made of it."""
    return sha256_bytes(blend.batch(indices, 0, "zoo vision encoder identity", 0, size).images.tobytes())


def plain_share(step: int, settings: ZooVisionEncoderParams) -> float:
    """The share of plain digits in a batch: 1 at the start, falling linearly to `plain_floor`."""
    done = step / (settings.plain_share * settings.training.steps)
    return max(settings.plain_floor, 1 - done)


def training_batch(
    indices: np.ndarray, seed: int, step: int, plain: int, composites: int, size: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Images float32 [n, 3, size, size] in [-1, 1], digits [n] and photographs [n] (-1: none) of a step."""
    drawn = rng.numpy_rng(seed, "zoo vision encoder digits", step).choice(indices, plain + composites)
    parts = []
    for name, part, with_photos in (("plain", drawn[:plain], False), ("composites", drawn[plain:], True)):
        if len(part):
            parts.append(labelled(blend.batch(part, seed, f"zoo vision encoder {name}", step, size, with_photos), size))
    images, digits, photos = (torch.cat(column) for column in zip(*parts, strict=True))
    return images, digits, photos


def labelled(pictures: blend.Rendered, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures as image, digit and photograph tensors."""
    return to_tensor(pictures.images, size), torch.from_numpy(pictures.digits), torch.from_numpy(pictures.photos)


@torch.inference_mode()
def held_out_accuracy(
    vision_encoder: VisionEncoder, indices: np.ndarray, seed: int, pictures: int
) -> dict[str, float | int]:
    """Shares of digits and photographs named correctly on `pictures` composites of each digit."""
    device, size = next(vision_encoder.parameters()).device, vision_encoder.image_size
    right = dict.fromkeys(vision_encoder.classes, 0)
    for draw in range(pictures):
        images, *labels = labelled(blend.batch(indices, seed, "zoo vision encoder held out", draw, size), size)
        for (name, logits), true in zip(vision_encoder(images.to(device)).items(), labels, strict=True):
            right[name] += int((logits.argmax(1).cpu() == true).sum())
    count = pictures * len(indices)
    return {"n": count} | {f"{name}_accuracy": number / count for name, number in right.items()}

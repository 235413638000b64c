"""The vision encoder: a ViT that names the digit and the photograph of a miniature image.

BLIP-2 looks through it, and its features and classes score generated images. Files: a `ViTModel` in
`save_pretrained` layout and heads.safetensors beside it.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.images.store.tensors import to_tensor
from difflab.miniature.params.vision_models import ZooVisionEncoderParams
from difflab.miniature.pictures import blend
from difflab.models.vision.vit import build_vit

NUM_DIGITS = 10
HEADS = "heads.safetensors"


class VisionEncoder(nn.Module):
    """A `ViTModel` whose mean token is the feature; linear heads for the digit and the photograph.

    Attributes:
        vit: the transformer.
        photo_names: the photographs in the order of `photo_logits`; empty for a ViT without heads.
    """

    def __init__(self, vit: nn.Module, photo_names: tuple[str, ...]) -> None:
        super().__init__()
        self.vit, self.photo_names = vit, photo_names
        if photo_names:
            self.heads = nn.ModuleDict(
                {"digit": nn.Linear(self.dim, NUM_DIGITS), "photo": nn.Linear(self.dim, len(photo_names))}
            )

    @property
    def dim(self) -> int:
        return self.vit.config.hidden_size

    @property
    def image_size(self) -> int:
        return self.vit.config.image_size

    def features(self, images: Tensor) -> Tensor:
        """The mean of the last layer's tokens [n, dim]; images [n, 3, S, S] in [-1, 1]."""
        return self.vit(pixel_values=images).last_hidden_state.mean(dim=1)

    def digit_logits(self, images: Tensor) -> Tensor:
        """[n, 10]."""
        return self._head("digit")(self.features(images))

    def photo_logits(self, images: Tensor) -> Tensor:
        """[n, len(photo_names)]."""
        return self._head("photo")(self.features(images))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Digit and photograph logits of one pass."""
        features = self.features(images)
        return self._head("digit")(features), self._head("photo")(features)

    def _head(self, name: str) -> nn.Module:
        if not self.photo_names:
            raise DifflabError(
                f"this vision encoder has no {name} head: use one trained by the stage zoo_vision_encoder"
            )
        return self.heads[name]


def build(settings: ZooVisionEncoderParams, seed: int) -> VisionEncoder:
    """A new vision encoder with weights drawn from the seed."""
    torch.manual_seed(rng.key(seed, "init", "vision_encoder"))
    vit = build_vit(
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.num_hidden_layers,
        num_attention_heads=settings.num_attention_heads,
        intermediate_size=settings.intermediate_size,
        image_size=settings.image_size,
        patch_size=settings.patch_size,
    )
    return VisionEncoder(vit, blend.PHOTO_NAMES)


def save(folder: str | Path, vision_encoder: VisionEncoder) -> None:
    """Write the ViT and the heads into `folder`; the same bytes for the same weights."""
    from safetensors.torch import save_file

    vision_encoder.vit.save_pretrained(folder)
    heads = {
        name: value.detach().cpu().contiguous() for name, value in vision_encoder.heads.state_dict().items()
    }
    save_file(heads, Path(folder) / HEADS, metadata={"photo_names": json.dumps(vision_encoder.photo_names)})


def load(folder: str | Path) -> VisionEncoder:
    """Read a vision encoder, in eval mode; a folder with a ViT alone (as on the Hub) gives a vision encoder without heads.

    Args:
        folder: from `difflab.models.roles.resolve`.

    Raises:
        DifflabError: there is no ViT.
    """
    from safetensors import safe_open
    from transformers.models.vit.modeling_vit import ViTModel

    folder = Path(folder)
    if not (folder / "config.json").exists():
        raise DifflabError(
            f"{folder} holds no vision encoder: run `dvc repro zoo_vision_encoder` (or `dvc pull`) to make it"
        )
    vit = ViTModel.from_pretrained(folder, add_pooling_layer=False, local_files_only=True)
    if not (folder / HEADS).exists():
        return VisionEncoder(vit, ()).eval()
    with safe_open(folder / HEADS, framework="pt") as file:
        names = tuple(json.loads(file.metadata()["photo_names"]))
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    vision_encoder = VisionEncoder(vit, names)
    vision_encoder.heads.load_state_dict(weights)
    return vision_encoder.eval()


def batch_loss(
    vision_encoder: VisionEncoder, indices: np.ndarray, seed: int, settings: ZooVisionEncoderParams
) -> Callable[[int], dict[str, Tensor]]:
    """The loss of a step, on pictures drawn afresh from the digits `indices` (rows of `bundled.digits()`).

    Training starts on plain digits, whose shape is easy to see, and they give way to composites.
    """
    device = next(vision_encoder.parameters()).device

    def loss(step: int) -> dict[str, Tensor]:
        count = settings.training.batch_size
        plain = round(count * plain_share(step, settings))
        images, digits, photos = training_batch(
            indices, seed, step, plain, count - plain, settings.image_size
        )
        digit_logits, photo_logits = vision_encoder(images.to(device))
        digits, photos = digits.to(device), photos.to(device)
        losses = F.cross_entropy(
            digit_logits, digits, label_smoothing=settings.label_smoothing, reduction="none"
        )
        photo_losses = F.cross_entropy(
            photo_logits, photos, ignore_index=-1, label_smoothing=settings.label_smoothing, reduction="none"
        )
        total = losses + settings.photo_weight * photo_losses
        return {"loss": total.mean(), "digit_accuracy": (digit_logits.argmax(1) == digits).float().mean()}

    return loss


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
            parts.append(
                labelled(blend.batch(part, seed, f"zoo vision encoder {name}", step, size, with_photos), size)
            )
    images, digits, photos = (torch.cat(column) for column in zip(*parts, strict=True))
    return images, digits, photos


def labelled(pictures: blend.Rendered, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures as image, digit and photograph tensors."""
    digits, photos = torch.from_numpy(pictures.digits), torch.from_numpy(pictures.photos)
    return to_tensor(pictures.images, size), digits, photos


@torch.inference_mode()
def held_out_accuracy(
    vision_encoder: VisionEncoder, indices: np.ndarray, seed: int, pictures: int
) -> dict[str, float | int]:
    """Shares of digits and photographs named correctly on `pictures` composites of each digit."""
    device, size = next(vision_encoder.parameters()).device, vision_encoder.image_size
    right = torch.zeros(2)
    for draw in range(pictures):
        drawn = blend.batch(indices, seed, "zoo vision encoder held out", draw, size)
        images, digits, photos = labelled(drawn, size)
        for named, true in zip(vision_encoder(images.to(device)), (digits, photos), strict=True):
            right[0 if true is digits else 1] += (named.argmax(1).cpu() == true).sum()
    count = pictures * len(indices)
    return {"n": count, "digit_accuracy": float(right[0]) / count, "photo_accuracy": float(right[1]) / count}

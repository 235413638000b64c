"""The classifier of small images: ResNet-20 for CIFAR-10 (He et al. 2016, section 4.2, shortcuts of option A).

Its class accuracy and its 64 pooled features judge generated images. Names of layers are those of the widely
used PyTorch port, so that its weights load as they are.
"""

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, read_tensors, write_json
from difflab.core.base.store.tensors import check_finite

SIZE, DIM = 32, 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the published weights, on [0, 1]
WEIGHTS, CLASSES = "classifier.safetensors", "classes.json"


class Block(nn.Module):
    """Two convolutions beside a shortcut that subsamples and pads channels with zeros."""

    def __init__(self, width: int, out_width: int) -> None:
        super().__init__()
        self.stride = 1 if width == out_width else 2
        self.conv1 = nn.Conv2d(width, out_width, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_width)
        self.conv2 = nn.Conv2d(out_width, out_width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_width)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.stride == 2:
            pad = (out.shape[1] - x.shape[1]) // 2
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, pad, pad))
        return functional.relu(out + x)


class ResNet20(nn.Module):
    """Logits of `classes`, in their order, for images float32 [B, 3, 32, 32] in [-1, 1]."""

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__()
        self.classes = list(classes)
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(Block(16, 16), Block(16, 16), Block(16, 16))
        self.layer2 = nn.Sequential(Block(16, 32), Block(32, 32), Block(32, 32))
        self.layer3 = nn.Sequential(Block(32, 64), Block(64, 64), Block(64, 64))
        self.linear = nn.Linear(64, len(self.classes))

    def features(self, images: Tensor) -> Tensor:
        """Pooled features, float32 [B, 64]."""
        mean, std = (images.new_tensor(v).view(3, 1, 1) for v in (MEAN, STD))
        x = ((images + 1) / 2 - mean) / std
        x = functional.relu(self.bn1(self.conv1(x)))
        return self.layer3(self.layer2(self.layer1(x))).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(self.features(images))


def build(classes: Sequence[str], seed: int) -> ResNet20:
    """A new network; convolutions are drawn by He's rule."""
    torch.manual_seed(rng.key(seed, "init", "resnet20"))
    network = ResNet20(classes)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    return network


def batch_loss(
    network: ResNet20, pixels: Tensor, labels: Tensor, *, batch_size: int, flip: bool, shift: int, seed: int
) -> Callable[[int], dict[str, Tensor]]:
    """The loss of one training step (for `training.supervised.fit`).

    Args:
        pixels: uint8 [N, 3, 32, 32], on the network's device.
        labels: int64 [N].
        flip: mirror half of the images; wrong for digits.
        shift: move images by up to so many pixels, borders repeated.
    """

    def loss(step: int) -> dict[str, Tensor]:
        draws = rng.numpy_rng(seed, "classifier batch", step)
        index = torch.from_numpy(draws.integers(len(pixels), size=batch_size))
        images = pixels[index.to(pixels.device)].float().div(127.5).sub(1)
        if shift:
            down, right = (int(v) for v in draws.integers(2 * shift + 1, size=2))
            padded = functional.pad(images, (shift,) * 4, mode="replicate")
            images = padded[:, :, down : down + SIZE, right : right + SIZE]
        if flip:
            mirrored = torch.from_numpy(draws.random(batch_size) < 0.5).to(images.device)
            images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
        logits, asked = network(images), labels[index].to(images.device)
        accuracy = (logits.argmax(1) == asked).float().mean()
        return {"loss": functional.cross_entropy(logits, asked), "accuracy": accuracy}

    return loss


def save(folder: Path, network: ResNet20) -> None:
    """Write weights, in their precision, and classes."""
    from safetensors.torch import save_file

    save_file({k: v.contiguous().cpu() for k, v in network.state_dict().items()}, folder / WEIGHTS)
    write_json(folder / CLASSES, network.classes)


def load(folder: str | Path) -> ResNet20:
    """A trained classifier, float32 and in eval mode, from the folder of its role."""
    folder = Path(folder)
    if not (folder / WEIGHTS).exists():
        raise DifflabError(f"{folder / WEIGHTS} is missing: run `dvc repro zoo_classifier` to make it")
    return load_weights(folder / WEIGHTS, read_json(folder / CLASSES))


def load_weights(path: Path, classes: Sequence[str]) -> ResNet20:
    """A network with weights of the same layout; others are refused by the names of their tensors."""
    network, weights = ResNet20(classes), read_tensors(path)
    counters = {k: v for k, v in network.state_dict().items() if k.endswith("num_batches_tracked")}  # of training
    try:
        network.load_state_dict(counters | weights)
    except RuntimeError as error:
        faults = textwrap.shorten(str(error).partition("\n")[2], 240)
        raise DifflabError(f"{path} holds no ResNet-20 of {len(classes)} classes: {faults}") from None
    return network.eval()


@torch.inference_mode()
def judge(network: ResNet20, pixels: Tensor, batch_size: int = 256) -> tuple[Tensor, Tensor]:
    """Features float32 [n, 64] and predicted classes int64 [n] of uint8 images [n, 3, 32, 32], on the CPU."""
    device = network.linear.weight.device
    features = [network.features(p.to(device).float().div(127.5).sub(1)) for p in pixels.split(batch_size)]
    joined = torch.cat(features)
    check_finite(joined, (), "what the classifier sees in picture", "look at the pictures and its weights")
    return joined.cpu(), network.linear(joined).argmax(1).cpu()

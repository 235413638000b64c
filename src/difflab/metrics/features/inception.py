"""pytorch-fid's Inception-v3 features (2,048 dimensions), the extractor of published FID values.

Architecture and resizing are pytorch-fid's own (bilinear to 299 without antialiasing, inside the network);
the weights come from the role folder or from pytorch-fid's own place, never at import. Two rearrangements
change the features by rounding only and nearly double the speed on a CPU: batch normalisation folded into
the convolutions, and channels_last.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from unittest import mock

import numpy as np
import torch
from torch.nn.utils.fusion import fuse_conv_bn_eval

from difflab.core.base import roles, runtime
from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import atomic_path, read_tensors, sha256_file

HASH = "6726825d"  # head of the sha256 of the released file, also in its name
WEIGHTS = f"pt_inception-2015-12-05-{HASH}.pth"
WEIGHTS_URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{WEIGHTS}"


class InceptionExtractor:
    """Pool-3 features [n, 2048] of images of any size."""

    name = "inception"
    classes: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    dim = 2048
    resize = "bilinear to 299 without antialiasing (pytorch-fid)"

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        weights = find_weights(folder)
        self.device = runtime.resolve_device(device)
        network = optimised(build(read_weights(weights)))
        self.network = network.to(self.device, memory_format=torch.channels_last)
        self.ruler = sha256_file(weights)[:12]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        pixels = torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            return self.network(pixels)[0].flatten(1).float().cpu().numpy()


def find_weights(folder: Path) -> Path:
    """The weights in the role folder, else where pytorch-fid keeps them (the torch.hub cache), else downloaded there.

    Raises:
        DifflabError: they are nowhere and cannot be downloaded; the line says what to fetch and where to put it.
    """
    cached = Path(os.environ.get("TORCH_HOME", Path.home() / ".cache" / "torch")) / "hub/checkpoints" / WEIGHTS
    for path in (Path(folder) / "inception.safetensors", Path(folder) / WEIGHTS, cached):
        if path.is_file():
            return path
    if roles.offline():
        raise DifflabError(f"HF_HUB_OFFLINE is set and {cached} is missing: put {WEIGHTS_URL} there")
    try:
        with atomic_path(cached) as temporary:  # 95 MB, checked by their hash
            torch.hub.download_url_to_file(WEIGHTS_URL, str(temporary), hash_prefix=HASH, progress=not runtime.quiet())
    except (OSError, RuntimeError) as error:
        raise DifflabError(f"{WEIGHTS_URL} cannot be had ({error}): put it at {cached} by hand") from None
    return cached


def read_weights(path: Path) -> dict:
    """A state dict from safetensors, or from the released .pth file read as tensors only, no pickled code."""
    if path.suffix == ".safetensors":
        return read_tensors(path)
    with reading(path, "delete it: it is downloaded again"):
        return torch.load(path, map_location="cpu", weights_only=True)


def build(state: dict):
    """pytorch-fid's network with the given weights, in evaluation mode."""
    from pytorch_fid import inception

    with mock.patch.object(inception, "load_state_dict_from_url", return_value=state):
        return inception.InceptionV3([inception.InceptionV3.DEFAULT_BLOCK_INDEX]).eval()


def optimised(network):
    """Fold each batch normalisation into its convolution and switch to channels_last (features equal to 1e-5)."""
    for module in network.modules():
        if isinstance(getattr(module, "conv", None), torch.nn.Conv2d) and hasattr(module, "bn"):
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.bn = torch.nn.Identity()
    return network.to(memory_format=torch.channels_last)

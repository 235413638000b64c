"""What a vision model sees of a picture, as the preprocessor configuration beside its weights says.

The models that are trained here have none: they see the centre square in [-1, 1] (`core.base.store.tensors.to_tensor`).
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from difflab.core.base.errors import DifflabError, Unreadable, reading
from difflab.core.base.files import read_json
from difflab.core.base.image_processors import FILTERS, check_image_processor
from difflab.core.base.pretrained import pretrained
from difflab.core.base.store.tensors import to_tensor

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

CONFIGS = ("preprocessor_config.json", "processor_config.json")  # as transformers writes it alone, and with a tokenizer


class Preprocessor:
    """Pictures to `pixel_values`: size, resampling, crop, rescaling, mean and deviation of the model's own.

    Args:
        folder: the resolved folder of the model.
        size: side of the square pictures that the network takes, in pixels.
        trained_here: whether the study trained the model; a released one must say how it sees.

    Attributes:
        rule: the same in words, for what is measured through it.
        mean, std: of the three channels, float lists, on pixels in 0..1.

    Raises:
        DifflabError: the configuration is absent or damaged, or gives the network another size than it takes.
    """

    def __init__(self, folder: str | Path, size: int, *, trained_here: bool = True) -> None:
        self.size, self.mean, self.std, self._own = size, [0.5] * 3, [0.5] * 3, None
        self.rule = f"centre square, antialiased bicubic to {size}"
        if not any((Path(folder) / name).is_file() for name in CONFIGS):
            if not trained_here:
                raise DifflabError(
                    f"{folder} has no {CONFIGS[0]}, which says how the model sees a picture: "
                    "let allow_patterns of its hub parameter name it"
                )
            return
        self._own = _load(Path(folder))
        if not isinstance(size, int):
            raise DifflabError(f"{folder}: image_size of its config.json is {size}: one number is needed, for squares")
        with reading(folder, "correct its preprocessor configuration"):
            given = self([np.zeros((size, size + 1, 3), np.uint8)]).shape[1:]
        if given != (3, size, size):
            raise DifflabError(
                f"{folder}: its preprocessor makes pictures {tuple(given)}, the network takes (3, {size}, {size}): "
                "correct size and crop_size in its configuration"
            )
        self.mean, self.std = _of_unit_range(self._own)
        resample = FILTERS[self._own.resample] if self._own.do_resize else "as they are"
        cut = "resized and cropped" if getattr(self._own, "do_center_crop", False) else "resized"
        self.rule = f"{cut} to {size}, {resample}, mean {self.mean}, deviation {self.std} (the model's own)"

    def __call__(self, images: "Sequence[Image.Image | np.ndarray] | np.ndarray") -> "Tensor":
        """RGB pictures, PIL or uint8 [H, W, 3], of any sizes: float32 [n, 3, size, size] on the CPU."""
        if self._own is None:
            return to_tensor(images, self.size)
        from PIL import Image

        pictures = [Image.fromarray(i) if isinstance(i, np.ndarray) else i.convert("RGB") for i in images]
        return self._own(pictures, return_tensors="pt")["pixel_values"].float()


def normalised(images: np.ndarray, size: int, mean: Sequence[float], std: Sequence[float]) -> "Tensor":
    """Pictures uint8 [n, size, size, 3] of a model's training: float32 [n, 3, size, size] of this mean and deviation."""
    import torch

    pixels = to_tensor(images, size)
    if list(mean) == list(std) == [0.5] * 3:
        return pixels
    return pixels.add(1).div(2).sub(torch.tensor(mean).view(3, 1, 1)).div(torch.tensor(std).view(3, 1, 1))


def _of_unit_range(own: Any) -> tuple[list[float], list[float]]:
    """Mean and deviation of a processor as if it scaled pixels to 0..1 first, as nearly all do."""
    scale = 255 * own.rescale_factor if own.do_rescale else 255.0
    mean, std = (own.image_mean, own.image_std) if own.do_normalize else ([0.0] * 3, [1.0] * 3)
    if math.isclose(scale, 1):
        return list(mean), list(std)
    return [value / scale for value in mean], [value / scale for value in std]


def _load(folder: Path):
    """The image processor of a folder, which computes with PIL."""
    from transformers import AutoImageProcessor

    for name in CONFIGS:
        if (folder / name).is_file():
            read_json(folder / name)  # a damaged one is named as such
    try:
        own = pretrained(AutoImageProcessor, folder, backend="pil", local_files_only=True)
    except Unreadable as error:
        raise DifflabError(f"{folder}: its preprocessor configuration is of no known kind ({error})") from None
    check_image_processor(own, folder)
    return own

"""A whole denoiser that was trained, as `save_pretrained` writes it: DreamBooth (Ruiz et al. 2023) leaves one."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, read_tensors
from difflab.core.base.pretrained import pretrained_model
from difflab.models.adapters.updates import DENOISERS

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

CONFIG, FOLDER = "config.json", "network"
_KINDS = {"SD3Transformer2DModel": DENOISERS[0], "UNet2DConditionModel": DENOISERS[1]}


@dataclass(frozen=True)
class Network:
    """The folder of a U-Net or transformer that takes the place of its base's."""

    path: Path
    denoiser: str
    facts: dict[str, Any] = field(default_factory=dict)

    def check_fit(self, pipeline: "DiffusionPipeline") -> None:
        """Refuse, as a DifflabError, a base whose denoiser has other weights."""
        own = _shapes(self.path)
        base = {name: tuple(tensor.shape) for name, tensor in getattr(pipeline, self.denoiser).state_dict().items()}
        for name in sorted(own.keys() | base.keys()):
            if own.get(name) != base.get(name):
                there = {where: list(s[name]) if name in s else "absent" for where, s in (("it", own), ("base", base))}
                raise DifflabError(
                    f"{self.path}: '{name}' is {there['it']}, and {there['base']} in the base: it was trained on another "
                    "one, name it with --base"
                )

    @contextmanager
    def on(self, pipeline: "DiffusionPipeline") -> Generator[None]:
        """The pipeline with this denoiser; afterwards as before."""
        before = getattr(pipeline, self.denoiser)
        self.put_on(pipeline)
        try:
            yield
        finally:
            setattr(pipeline, self.denoiser, before)

    def put_on(self, pipeline: "DiffusionPipeline") -> None:
        before = getattr(pipeline, self.denoiser)
        model = pretrained_model(type(before), self.path, local_files_only=True)
        setattr(pipeline, self.denoiser, model.to(before.device, before.dtype).requires_grad_(False).eval())

    def told(self) -> str:
        return f"the whole {self.denoiser}"


def denoiser_of(folder: Path) -> str | None:
    """ "unet" or "transformer" where a folder holds a denoiser that `save_pretrained` wrote, else None."""
    if not (folder / CONFIG).is_file() or not any(folder.glob("*.safetensors")):
        return None
    config = read_json(folder / CONFIG)
    return _KINDS.get(str(config.get("_class_name"))) if isinstance(config, dict) else None


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Of the weights in a folder, none of which is read for it."""
    files = (read_tensors(path, "train it again, or `dvc checkout`") for path in sorted(folder.glob("*.safetensors")))
    return {name: tuple(tensor.shape) for tensors in files for name, tensor in tensors.items()}

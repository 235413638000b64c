"""Loading the image models of a resolved role folder, trained here or released."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from diffusers.models import AutoencoderKL, SD3Transformer2DModel
    from diffusers.schedulers import FlowMatchEulerDiscreteScheduler


def load_vae(folder: str | Path, device: "torch.device | str" = "cpu") -> "AutoencoderKL":
    """The autoencoder: float32, frozen, in eval mode."""
    import torch
    from diffusers.models import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32, use_safetensors=True)
    return vae.requires_grad_(False).eval().to(device)


def load_transformer(
    folder: str | Path, device: "torch.device | str" = "cpu", dtype: "torch.dtype | None" = None
) -> "SD3Transformer2DModel":
    """The diffusion transformer, from the sub-folder `transformer`, in eval mode; dtype None keeps the stored one."""
    from diffusers.models import SD3Transformer2DModel

    path = Path(folder) / "transformer"
    return SD3Transformer2DModel.from_pretrained(path, torch_dtype=dtype, use_safetensors=True).eval().to(device)


def load_scheduler(folder: str | Path) -> "FlowMatchEulerDiscreteScheduler":
    """The sampler's configuration, from the sub-folder `scheduler`."""
    from diffusers.schedulers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler.from_pretrained(Path(folder) / "scheduler")

"""Loading text-to-image pipelines of diffusers, trained here or released."""

from pathlib import Path
from typing import TYPE_CHECKING

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline

INDEX = "model_index.json"
KINDS = ("StableDiffusionPipeline", "StableDiffusionXLPipeline", "StableDiffusion3Pipeline")


def load_pipeline(
    folder: str | Path, device: "torch.device | str" = "cpu", dtype: "torch.dtype | None" = None
) -> "DiffusionPipeline":
    """A pipeline of one of `KINDS` from a resolved folder, frozen, in eval mode, without a safety checker.

    Args:
        dtype: None keeps the stored one.

    Raises:
        DifflabError: the folder holds no pipeline, or one of another kind.
    """
    import diffusers
    import transformers

    folder = Path(folder)
    if not (folder / INDEX).exists():
        raise DifflabError(f"{folder} holds no pipeline ({INDEX} is missing): name the folder of a whole pipeline")
    index = read_json(folder / INDEX)
    kind = index.get("_class_name")
    if kind not in KINDS:
        raise DifflabError(f"{folder} is a {kind}: {', '.join(KINDS)} can be sampled")
    diffusers.utils.logging.disable_progress_bar()  # of loading; the steps of sampling have their own
    transformers.utils.logging.disable_progress_bar()
    options = {"safety_checker": None, "requires_safety_checker": False} if "safety_checker" in index else {}
    pipeline = getattr(diffusers, kind).from_pretrained(
        folder, dtype=dtype, use_safetensors=True, local_files_only=True, **options
    )
    for component in pipeline.components.values():
        if hasattr(component, "requires_grad_"):
            component.requires_grad_(False).eval()
    return pipeline.to(device)

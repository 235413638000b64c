"""The base of the study as one pipeline of diffusers, out of the roles in models/zoo."""

from typing import TYPE_CHECKING

import torch

from difflab.core.base import roles
from difflab.core.base.pretrained import pretrained, pretrained_model
from difflab.core.base.roles import load_transformer, load_vae
from difflab.models.language.prompt_tokens import literal
from difflab.models.sampling.schedulers import load_scheduler
from difflab.sd3.artifacts.components import Components, check_base
from difflab.sd3.sampling import ZOO

if TYPE_CHECKING:
    from diffusers import StableDiffusion3Pipeline

_ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")


def study_components() -> Components:
    """The fingerprints of the autoencoder and the text encoders in models/zoo."""
    return {"vae": roles.fingerprint(ZOO / "vae"), "text_encoders": roles.fingerprint(ZOO / "text")}


def study_pipeline(device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> "StableDiffusion3Pipeline":
    """The pipeline, frozen and in eval mode; a dtype of None keeps the stored one.

    Raises:
        DifflabError: a role is missing, or does not belong to this transformer.
    """
    from diffusers import StableDiffusion3Pipeline
    from transformers import AutoTokenizer, CLIPTextModelWithProjection, T5EncoderModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # of loading and writing
    base, text = roles.resolve(ZOO / "transformer"), roles.resolve(ZOO / "text")
    check_base(base, study_components())
    parts = {}
    for name in _ENCODERS:
        kind = T5EncoderModel if name == "text_encoder_3" else CLIPTextModelWithProjection
        tokenizer = name.replace("text_encoder", "tokenizer")
        parts[name] = pretrained_model(kind, text / name, dtype=dtype or "auto", use_safetensors=True)
        parts[tokenizer] = literal(pretrained(AutoTokenizer, text / tokenizer))
    pipeline = StableDiffusion3Pipeline(
        transformer=load_transformer(base, dtype=dtype),
        scheduler=load_scheduler(base),
        vae=load_vae(roles.resolve(ZOO / "vae")),
        **parts,
    )
    for component in pipeline.components.values():
        if isinstance(component, torch.nn.Module):
            component.requires_grad_(False).eval()
    return pipeline.to(device)

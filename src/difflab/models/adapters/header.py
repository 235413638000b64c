"""The header of a safetensors file: ModelSpec 1.0.0 and the `ss_` fields of kohya-ss/sd-scripts, and the file's bytes.

ModelSpec (github.com/Stability-AI/ModelSpec) says what a file is to programs that list models; its date is left out, so
that an adapter gives the same bytes every time. Values are text.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from difflab.models.adapters.updates import TEXT_ENCODERS, Updates

if TYPE_CHECKING:
    from torch import Tensor

# ModelSpec's architecture, sd-scripts' version of the base, and the module of sd-scripts that trains such a file.
_BASES = {
    "transformer": ("stable-diffusion-3", "sd3_m", "networks.lora_sd3"),
    "unet": ("stable-diffusion-v1", "sd_v1", "networks.lora"),
}


@dataclass(frozen=True)
class Description:
    """What a header and a model card say of an adapter beside its weights.

    Attributes:
        base, licence: the base's name for people, and its licence.
        loads_from: what `from_pretrained` takes for it: a repository or a folder.
        resolution: the side of the pictures in pixels.
        prediction: what a U-Net predicts: "epsilon" or "v_prediction"; empty for a flow.
        settings: how it was trained: names and values, one line each; empty where it is not known.
        scores: what was measured of it.
        prompts: which it understands.
        call: further arguments of the pipeline, "max_sequence_length=13" for instance.
    """

    title: str
    base: str
    loads_from: str
    licence: str
    resolution: int
    prediction: str
    settings: Mapping[str, Any]
    scores: Mapping[str, float]
    prompts: tuple[str, ...]
    call: str = ""


def header(updates: Updates, described: Description) -> dict[str, str]:
    """The fields for a file of these updates, but for the hash of its tensors."""
    denoiser = "transformer" if any(name.startswith("transformer.") for name in updates) else "unet"
    architecture, version, module = _BASES[denoiser]
    rank, alpha = (Counter(v).most_common(1)[0][0] for v in zip(*((u.rank, u.alpha) for u in updates.values())))  # noqa: B905
    fields: dict[str, Any] = {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": f"{architecture}/lora",
        "modelspec.implementation": "diffusers",
        "modelspec.title": described.title,
        "modelspec.resolution": f"{described.resolution}x{described.resolution}",
        "modelspec.description": f"LoRA adapter of {described.base}, trained by difflab",
        "modelspec.license": described.licence,
        "ss_network_module": module,
        "ss_network_dim": rank,
        "ss_network_alpha": alpha,
        "ss_base_model_version": version,
        "ss_sd_model_name": described.base,
        "ss_output_name": described.title,
        "ss_resolution": f"({described.resolution}, {described.resolution})",
        "ss_v2": False,
    }
    if described.prediction:
        fields["modelspec.prediction_type"] = "v" if described.prediction == "v_prediction" else described.prediction
    if any(name.startswith(TEXT_ENCODERS) for name in updates):
        fields["ss_text_encoder_trained"] = True
    for ours, theirs in _SETTINGS.items():
        if ours in described.settings:
            fields[f"ss_{theirs}"] = described.settings[ours]
    return {name: value if isinstance(value, str) else f"{value}" for name, value in fields.items()}


_SETTINGS = {
    "learning_rate": "learning_rate",
    "steps": "max_train_steps",
    "seed": "seed",
    "batch_size": "total_batch_size",
    "lr_scheduler": "lr_scheduler",
    "lr_warmup_steps": "lr_warmup_steps",
    "max_grad_norm": "max_grad_norm",
    "gradient_accumulation_steps": "gradient_accumulation_steps",
}


def packed(tensors: Mapping[str, "Tensor"], fields: Mapping[str, str]) -> bytes:
    """A safetensors file, the same bytes every time: the library writes a header of several fields in no fixed order.

    With ModelSpec fields it also holds the hash of its tensors, as they lie in the file.
    """
    from safetensors.torch import save

    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())})
    start = 8 + int.from_bytes(content[:8], "little")
    fields = dict(fields)
    if "modelspec.sai_model_spec" in fields:
        fields["modelspec.hash_sha256"] = f"0x{hashlib.sha256(content[start:]).hexdigest()}"
    whole = {"__metadata__": dict(sorted(fields.items()))} | json.loads(content[8:start])
    written = json.dumps(whole, separators=(",", ":")).encode()
    written += b" " * (-len(written) % 8)  # tensors start at a multiple of eight bytes
    return len(written).to_bytes(8, "little") + written + content[start:]

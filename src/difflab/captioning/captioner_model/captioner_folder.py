"""The captioner's base models by role, and its folder: adapter, projector and configuration, without the bases.

adapter_model.safetensors, adapter_config.json   the LoRA, as PEFT writes it
projector.safetensors
captioner.json                                   settings, base models, and the hashes of both weight files
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from difflab.captioning.captioner_model.visual_prefix import Captioner, lora_config
from difflab.captioning.params.captioner import CaptionerParams
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path, read_json, sha256_file, write_json
from difflab.models import roles
from difflab.models.lora import ADAPTER

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase, ViTModel

ROLES = {"encoder": "vision_encoder", "language_model": "language"}
ADAPTER_FILE, PROJECTOR_FILE = "adapter_model.safetensors", "projector.safetensors"
WEIGHT_FILES = (ADAPTER_FILE, PROJECTOR_FILE)
CONFIG_FILE = "captioner.json"
_PEFT_PREFIX = "base_model.model."  # of names in PEFT's files


@dataclass(frozen=True)
class Bases:
    """The frozen models of a captioner, on one device.

    Attributes:
        identity: `identity_of` each part.
    """

    encoder: "ViTModel"
    language_model: "LlamaForCausalLM"
    tokenizer: "PreTrainedTokenizerBase"
    identity: dict[str, dict[str, str | None]]

    def captioner(self, settings: CaptionerParams, seed: int) -> Captioner:
        """A new captioner; it adapts the language model in place, so bases serve one captioner."""
        made = Captioner(self.encoder, self.language_model, self.tokenizer, settings, seed)
        return made.to(self.language_model.device)


def load_bases(device: torch.device | str, dtype: torch.dtype, models: Path = Path("models/zoo")) -> Bases:
    """Read the ViT and the language model.

    Raises:
        DifflabError: a role is missing.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.models.vit.modeling_vit import ViTModel

    identity = {part: identity_of(models / role) for part, role in ROLES.items()}
    vit, language = (roles.resolve(models / role) for role in ROLES.values())
    encoder = ViTModel.from_pretrained(vit, add_pooling_layer=False, dtype=dtype, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(language, dtype=dtype, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(language, local_files_only=True)
    return Bases(encoder.to(device).eval(), model.to(device).eval(), tokenizer, identity)


def save_captioner(
    folder: str | Path, captioner: Captioner, settings: CaptionerParams, bases: dict[str, dict[str, str | None]]
) -> None:
    """Write the trained weights into `folder`; the same bytes for the same weights.

    Args:
        bases: the identity of `Bases`.
    """
    from peft.utils import get_peft_model_state_dict
    from safetensors.torch import save_file

    weights = get_peft_model_state_dict(captioner.language_model, adapter_name=ADAPTER)
    adapter = {f"{_PEFT_PREFIX}{name}": value for name, value in sorted(weights.items())}
    config = lora_config(settings.lora)
    language = bases["language_model"]
    config.base_model_name_or_path = language["repo_id"] or language["role"]
    config.revision, config.inference_mode = language["revision"], True
    with atomic_path(folder) as temporary:
        config.save_pretrained(temporary)
        save_file(_plain(adapter), temporary / ADAPTER_FILE, metadata={"format": "pt"})
        save_file(_plain(captioner.projector.state_dict()), temporary / PROJECTOR_FILE)
        hashes = {name: sha256_file(temporary / name) for name in WEIGHT_FILES}
        facts = {"bases": bases, "settings": settings.model_dump(mode="json"), "sha256": hashes}
        write_json(temporary / CONFIG_FILE, facts)


def load_captioner(
    folder: str | Path, device: torch.device | str, dtype: torch.dtype, models: Path = Path("models/zoo")
) -> tuple[Captioner, CaptionerParams]:
    """Read a captioner, in eval mode, and the settings that it was trained with.

    Raises:
        DifflabError: the folder holds no captioner, is damaged or mixed with the files of another one, or was
            trained on other base models.
    """
    from peft.utils import set_peft_model_state_dict

    folder = Path(folder)
    if not (folder / CONFIG_FILE).exists():
        raise DifflabError(f"{folder} holds no captioner: run `dvc repro captioner` (or `dvc pull`) to make it")
    settings, identity, adapter, projector = _read(folder)
    for part, role in ROLES.items():
        trained_on, here = identity[part], identity_of(models / role)
        if trained_on != here:
            raise DifflabError(
                f"{folder} was trained on the {part.replace('_', ' ')} {_name(trained_on)}, but "
                f"{models / role} is {_name(here)}: run `dvc repro captioner` again, or restore that base"
            )
    captioner = load_bases(device, dtype, models).captioner(settings, seed=0)
    weights = {name.removeprefix(_PEFT_PREFIX): value for name, value in adapter.items()}
    captioner.projector.load_state_dict(projector)
    set_peft_model_state_dict(captioner.language_model, weights, adapter_name=ADAPTER)
    return captioner.eval(), settings


def _read(folder: Path) -> tuple[CaptionerParams, dict[str, Any], dict, dict]:
    """Settings, identity of the bases, adapter and projector.

    Raises:
        DifflabError: a file is missing, unreadable, not the one that was saved, or not finite.
    """
    from safetensors.torch import load_file

    try:
        facts = read_json(folder / CONFIG_FILE)
        settings, identity = CaptionerParams.model_validate(facts["settings"]), facts["bases"]
        for part in ROLES:
            _name(identity[part])
        hashes = {name: str(facts["sha256"][name]) for name in WEIGHT_FILES}
    except (KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise _damaged(folder, f"{CONFIG_FILE}: {type(error).__name__}: {reason}") from None
    for name in WEIGHT_FILES:
        if not (folder / name).is_file():
            raise _damaged(folder, f"{name} is missing")
        if sha256_file(folder / name) != hashes[name]:
            raise _damaged(folder, f"{name} is not the file that was saved with {CONFIG_FILE}")
    adapter, projector = (load_file(folder / name) for name in WEIGHT_FILES)
    for name, tensors in zip(WEIGHT_FILES, (adapter, projector), strict=True):
        if not all(value.isfinite().all() for value in tensors.values()):
            raise _damaged(folder, f"{name} holds weights that are not finite")
    return settings, identity, adapter, projector


def _damaged(folder: Path, reason: str) -> DifflabError:
    return DifflabError(f"{folder} is damaged ({reason}): restore it with `dvc checkout {folder}`")


def identity_of(folder: Path) -> dict[str, str | None]:
    """What a base model is: its role, repository and revision (None where the pipeline trained it), fingerprint."""
    pointer = folder / roles.POINTER
    source: dict[str, Any] = read_json(pointer) if pointer.exists() else {}
    return {
        "role": folder.name,
        "repo_id": source.get("repo_id"),
        "revision": source.get("revision"),
        "fingerprint": roles.fingerprint(folder),
    }


def _name(identity: dict[str, str | None]) -> str:
    """For example "google/vit-base-patch16-224@3f49326eb077 (0123456789abcdef)"."""
    name = identity["repo_id"] or identity["role"]
    revision = f"@{identity['revision'][:12]}" if identity["revision"] else ""
    return f"{name}{revision} ({identity['fingerprint']})"


def _plain(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}

"""The captioner's base models by role, and its folder: adapter, projector and configuration, without the bases.

adapter_model.safetensors, adapter_config.json   the LoRA, as PEFT writes it
projector.safetensors
captioner.json                                   settings, base models, and the hashes of both weight files
"""

from pathlib import Path
from typing import Any

import torch

from difflab.captioning.captioner_model.visual_prefix import Captioner, lora_config
from difflab.captioning.params import CaptionerSettings
from difflab.core.base import roles
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path, read_json, read_tensors, sha256_file, write_json
from difflab.core.base.pretrained import pretrained, pretrained_model
from difflab.models.language.prompt_tokens import literal
from difflab.models.lora import ADAPTER, check_weights
from difflab.models.vision.preprocessing import Preprocessor

ZOO = Path("models/zoo")
ROLES = {"encoder": "vision_encoder", "language_model": "language"}
WEIGHT_FILES = ("adapter_model.safetensors", "projector.safetensors")
CONFIG_FILE = "captioner.json"
Identity = dict[str, str | None]
_PEFT_PREFIX = "base_model.model."  # of names in PEFT's files


def new_captioner(
    settings: CaptionerSettings, seed: int, device: torch.device | str, dtype: torch.dtype, models: Path = ZOO
) -> Captioner:
    """A captioner before training, on base models that are read for it alone; a role that is missing is an error."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.models.vit.modeling_vit import ViTModel

    vit, language = (roles.resolve(models / role) for role in ROLES.values())
    encoder = pretrained_model(ViTModel, vit, add_pooling_layer=False, dtype=dtype, local_files_only=True)
    model = pretrained_model(AutoModelForCausalLM, language, dtype=dtype, local_files_only=True)
    tokenizer = literal(pretrained(AutoTokenizer, language, local_files_only=True))
    trained_here = vit == models / ROLES["encoder"]
    preprocess = Preprocessor(vit, encoder.config.image_size, trained_here=trained_here)
    made = Captioner(encoder.to(device).eval(), model.to(device).eval(), tokenizer, settings, seed, preprocess)
    return made.to(device)


def bases_of(models: Path = ZOO) -> dict[str, Identity]:
    """`identity_of` both base models, by part of the captioner."""
    return {part: identity_of(models / role) for part, role in ROLES.items()}


def save_captioner(
    folder: str | Path, captioner: Captioner, settings: CaptionerSettings, bases: dict[str, Identity]
) -> None:
    """Write the trained weights into `folder`; the same bytes for the same weights, settings and `bases_of`."""
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
        for name, tensors in zip(WEIGHT_FILES, (adapter, captioner.projector.state_dict()), strict=True):
            plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
            save_file(plain, temporary / name, metadata={"format": "pt"} if tensors is adapter else None)
        hashes = {name: sha256_file(temporary / name) for name in WEIGHT_FILES}
        described = settings.model_dump(mode="json", exclude={"seeds", "subset_seeds", "originals"})
        write_json(temporary / CONFIG_FILE, {"bases": bases, "settings": described, "sha256": hashes})


def load_captioner(
    folder: str | Path, device: torch.device | str, dtype: torch.dtype, models: Path = ZOO
) -> tuple[Captioner, CaptionerSettings]:
    """Read a captioner, in eval mode, and the settings that it was trained with.

    Raises:
        DifflabError: there is none, it is damaged or mixed with another one, or was trained on other base models.
    """
    from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict

    folder = Path(folder)
    if not (folder / CONFIG_FILE).exists():
        raise DifflabError(f"{folder} holds no captioner: run `dvc repro captioner` (or `dvc pull`) to make it")
    settings, identity = _checked(folder)
    for part, here in bases_of(models).items():
        if identity[part] != here:
            raise DifflabError(
                f"{folder} was trained on the {part.replace('_', ' ')} {_name(identity[part])}, but "
                f"{models / ROLES[part]} is {_name(here)}: run `dvc repro captioner` again, or restore that base"
            )
    captioner = new_captioner(settings, 0, device, dtype, models)
    adapter, projector = (read_tensors(folder / name) for name in WEIGHT_FILES)
    weights = {name.removeprefix(_PEFT_PREFIX): value for name, value in adapter.items()}
    expected = get_peft_model_state_dict(captioner.language_model, adapter_name=ADAPTER)
    for name, own, wanted in zip(
        WEIGHT_FILES, (weights, projector), (expected, captioner.projector.state_dict()), strict=True
    ):
        shapes = {key: tensor.shape for key, tensor in wanted.items()}
        check_weights(str(folder / name), own, shapes, f"restore it with `dvc checkout {folder}`")
    captioner.projector.load_state_dict(projector)
    set_peft_model_state_dict(captioner.language_model, weights, adapter_name=ADAPTER)
    return captioner.eval(), settings


def _checked(folder: Path) -> tuple[CaptionerSettings, dict[str, Identity]]:
    """Settings and bases of a folder whose weights are those that were saved with them."""

    def damaged(reason: str) -> DifflabError:
        return DifflabError(f"{folder} is damaged ({reason}): restore it with `dvc checkout {folder}`")

    facts = read_json(folder / CONFIG_FILE)
    try:
        settings, identity = CaptionerSettings.model_validate(facts["settings"]), facts["bases"]
        for part in ROLES:
            _name(identity[part])
        hashes = {name: str(facts["sha256"][name]) for name in WEIGHT_FILES}
    except (KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise damaged(f"{CONFIG_FILE}: {type(error).__name__}: {reason}") from None
    for name, saved in hashes.items():
        if not (folder / name).is_file():
            raise damaged(f"{name} is missing")
        if sha256_file(folder / name) != saved:
            raise damaged(f"{name} is not the file that was saved with {CONFIG_FILE}")
    return settings, identity


def identity_of(folder: Path) -> Identity:
    """What a base model is: its role, repository and revision (None where the pipeline trained it), fingerprint."""
    pointer = folder / roles.POINTER
    source: dict[str, Any] = read_json(pointer) if pointer.exists() else {}
    known = {name: source.get(name) for name in ("repo_id", "revision")}
    return {"role": folder.name, **known, "fingerprint": roles.fingerprint(folder)}


def _name(identity: Identity) -> str:
    """For example "google/vit-base-patch16-224@3f49326eb077 (0123456789abcdef)"."""
    revision = f"@{identity['revision'][:12]}" if identity["revision"] else ""
    return f"{identity['repo_id'] or identity['role']}{revision} ({identity['fingerprint']})"

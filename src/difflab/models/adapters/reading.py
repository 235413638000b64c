"""Reading what was trained, in any format: a LoRA adapter, the embedding of a token, or a whole denoiser."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import parse_json, read_tensor_facts, read_tensors
from difflab.models.adapters import diffusers_format, embeddings, kohya_format, networks, peft_format
from difflab.models.adapters.lora_config import unsupported
from difflab.models.adapters.networks import Network
from difflab.models.adapters.updates import COMPONENTS, DENOISERS, OWN, Updates, other_kind, put

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor

    from difflab.models.adapters.embeddings import Embedding

_PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_SEED = re.compile(r"seed-(\d+)")


@dataclass(frozen=True)
class AdapterFile:
    """The tensors of an adapter, not yet checked against a base.

    Attributes:
        path: what was read: a file, or a folder by PEFT.
        tensors: of one file.
        header: of that file.
        peft: by component, tensors and adapter_config.json, where PEFT wrote it.
        facts: what difflab wrote of it, as "base", the fingerprint of its base.
    """

    path: Path
    tensors: "dict[str, Tensor]" = field(default_factory=dict)
    header: dict[str, str] = field(default_factory=dict)
    peft: "dict[str, tuple[dict[str, Tensor], dict[str, Any]]]" = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def denoiser(self) -> str:
        """ "transformer" or "unet": what the base of this adapter has; "unet" also where only text encoders are adapted."""
        three = any(re.match(r"transformer\.|lora_unet_joint_blocks_", name) for name in self.tensors)
        return DENOISERS[0] if three or DENOISERS[0] in self.peft else DENOISERS[1]

    def updates(self, layers: "Collection[str]") -> Updates:
        """The updates by the names of diffusers; `layers` are those of the base, which kohya's keys need.

        Raises:
            DifflabError: it is incomplete, holds other tensors, contradicts itself or is not finite.
        """
        source = str(self.path)
        found: Updates = {}
        with reading(source, "export it again"):  # its patterns and numbers are another program's
            for component, (tensors, told) in self.peft.items():
                put(found, peft_format.read(component, tensors, told, source), source)
            kohya = {name: tensor for name, tensor in self.tensors.items() if name.startswith("lora_")}
            named = {name: tensor for name, tensor in self.tensors.items() if name not in kohya}
            put(found, kohya_format.read(kohya, layers, source), source)
            put(found, diffusers_format.read(named, self.header, source), source)
            return found


def read_trained(path: Path) -> "AdapterFile | Embedding | Network":
    """What a file or folder holds.

    Raises:
        DifflabError: it is nothing of these, damaged, or of another kind of adapter (LoHa, LoKr, DoRA, ...).
    """
    path = located(path)
    if path.is_dir():
        denoiser = networks.denoiser_of(path)
        return _read_peft(path) if denoiser is None else Network(path, denoiser)
    tensors, header = _tensors(path)
    if what := other_kind(tensors):
        raise DifflabError(f"{path} holds {what}, and only plain LoRA adapters can be read")
    known = (*(f"{component}." for component in COMPONENTS), "lora_")
    other = next((name for name in tensors if not name.startswith(known)), None)
    if other and embeddings.is_embedding(tensors):
        return embeddings.read(tensors, header, path)
    if not tensors or other:
        what = f"its tensor '{other}' belongs to none" if tensors else "it holds no tensor"
        raise DifflabError(f"{path} is no LoRA adapter of a diffusion pipeline: {what}")
    return AdapterFile(path, tensors, header, facts=_own(header, path))


def read_adapter(path: Path) -> AdapterFile:
    """The LoRA adapter in a file or a folder.

    Raises:
        DifflabError: as of `read_trained`, or it is the embedding of a token or a whole denoiser.
    """
    found = read_trained(path)
    if not isinstance(found, AdapterFile):
        raise DifflabError(f"{found.path} is no LoRA adapter: it holds {found.told()}")
    return found


def located(path: Path) -> Path:
    """The file or the folder that a path stands for: of several trainings the one with the least seed.

    Raises:
        DifflabError: there is no adapter.
    """
    if path.is_file():
        if path.suffix in _PICKLES:
            raise DifflabError(f"{path} is a pickle, which may run anything when read: take the .safetensors file")
        return path
    if not path.is_dir():
        raise DifflabError(f"{path} does not exist: name the file or the folder of an adapter")
    for name in (diffusers_format.FILE_NAME, embeddings.FILE_NAME):
        if (path / name).is_file():
            return path / name
    for folder in (path, path / networks.FOLDER):
        if networks.denoiser_of(folder):
            return folder
    if any((folder / peft_format.CONFIG).is_file() for folder in (path, *(path / name for name in COMPONENTS))):
        return path
    if seeds := sorted((int(found[1]), entry) for entry in path.iterdir() if (found := _SEED.fullmatch(entry.name))):
        return located(seeds[0][1])
    files = [] if (path / "config.json").exists() else sorted(path.glob("*.safetensors"))
    if len(files) == 1:
        return files[0]
    if files:
        names = ", ".join(file.name for file in files[:5]) + ", ..." * (len(files) > 5)
        raise DifflabError(f"{path} holds {len(files)} adapters ({names}): name one of the files")
    raise DifflabError(
        f"{path} holds no adapter: neither {diffusers_format.FILE_NAME} nor {peft_format.CONFIG} nor "
        f"{embeddings.FILE_NAME} nor one other .safetensors file"
    )


def _read_peft(folder: Path) -> AdapterFile:
    found, facts, whole = {}, {}, (folder / peft_format.CONFIG).is_file()
    folders = (
        [folder] if whole else [folder / name for name in COMPONENTS if (folder / name / peft_format.CONFIG).is_file()]
    )
    for part in folders:
        if not (part / peft_format.FILE_NAME).is_file():
            raise DifflabError(
                f"{part} holds {peft_format.CONFIG} without {peft_format.FILE_NAME}: the adapter is incomplete"
            )
        with reading(part / peft_format.CONFIG, "export the adapter again"):
            told = parse_json((part / peft_format.CONFIG).read_bytes())
            if not isinstance(told, dict):
                raise TypeError("no JSON object")
        tensors, header = _tensors(part / peft_format.FILE_NAME)
        if what := unsupported(told) or other_kind(tensors):
            raise DifflabError(f"{folder} holds {what}, and only plain LoRA adapters can be read")
        facts |= _own(header, part)
        found[peft_format.component_of(tensors) if whole else part.name] = tensors, told
    return AdapterFile(folder, peft=found, facts=facts)


def _own(header: dict[str, str], path: Path) -> dict[str, Any]:
    """What difflab wrote of an adapter: among diffusers' facts, or as fields of the header."""
    facts = header | diffusers_format.read_facts(header, str(path))
    return {name.removeprefix(OWN): value for name, value in facts.items() if name.startswith(OWN)}


def _tensors(path: Path) -> "tuple[dict[str, Tensor], dict[str, str]]":
    remedy = "a LoRA adapter is a .safetensors file"
    return read_tensors(path, remedy), read_tensor_facts(path, remedy)

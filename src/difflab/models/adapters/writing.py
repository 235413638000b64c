"""Writing an adapter or an embedding for other programs: a folder with its files and a model card, or one file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from difflab.core.base.errors import DifflabError, suggestion
from difflab.core.base.files import atomic_path, write_bytes
from difflab.models.adapters import comfyui_format, diffusers_format, embeddings, kohya_format, peft_format
from difflab.models.adapters.header import header, packed
from difflab.models.adapters.model_card import embedding_card, model_card
from difflab.models.adapters.updates import OWN, Updates

if TYPE_CHECKING:
    from difflab.models.adapters.embeddings import Embedding
    from difflab.models.adapters.fit import Layers
    from difflab.models.adapters.header import Description

Format = Literal["diffusers", "peft", "kohya", "comfyui"]
FORMATS = get_args(Format)
ONNX = "onnx"  # of whole pipelines, which commands write
CARD, SUFFIX = "README.md", ".safetensors"


def check_target(out: Path, format: str) -> None:
    """Refuse, as a DifflabError, a format that is not known, and a path that exists or cannot hold it."""
    if format not in FORMATS:
        known = (*FORMATS, ONNX)
        raise DifflabError(f"unknown format '{format}': one of {', '.join(known)}{suggestion(format, known)}")
    if out.exists() or out.is_symlink():
        raise DifflabError(f"{out} exists already: name another with --out, or delete it first")
    if format == "peft" and out.suffix == SUFFIX:
        raise DifflabError(f"--out {out}: PEFT reads a folder with adapter_config.json, name one without {SUFFIX}")
    if not out.name:
        raise DifflabError(f"--out {out} names no file")


def write_adapter(
    out: Path, format: str, updates: Updates, layers: "Layers", described: "Description", own: Mapping[str, Any]
) -> list[Path]:
    """Write an adapter and return its files; all of them or none get their final names.

    Args:
        out: a folder, or where its name ends in .safetensors that one file, without a model card.
        layers: of the base.
        own: facts of difflab, as "base", the fingerprint of the base.

    Raises:
        DifflabError: the target cannot be written, or the format cannot hold the adapter.
    """
    check_target(out, format)
    files = contents(format, updates, layers, described, own)
    return _write(out, files, model_card(format, updates, described, next(iter(files))))


def write_embedding(out: Path, format: str, embedding: "Embedding", described: "Description") -> list[Path]:
    """Write the embedding of a token; as `write_adapter`."""
    check_target(out, format)
    tensors, fields = embeddings.write(format, embedding)
    name = embeddings.FILE_NAME if format == "diffusers" else f"{described.title}{SUFFIX}"
    card = embedding_card(format, embedding, described, out.name if out.suffix == SUFFIX else name)
    return _write(out, {name: packed(tensors, fields)}, card)


def _write(out: Path, files: dict[str, bytes], card: str) -> list[Path]:
    if out.suffix == SUFFIX:
        write_bytes(out, next(iter(files.values())))
        return [out]
    files = files | {CARD: card.encode()}
    with atomic_path(out) as temporary:
        for name, content in files.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_bytes(content)
    return [out / name for name in files]


def contents(
    format: str, updates: Updates, layers: "Layers", described: "Description", own: Mapping[str, Any]
) -> dict[str, bytes]:
    """The files of an adapter by their names in its folder, the tensors first."""
    fields = header(updates, described)
    flat = {f"{OWN}{name}": value for name, value in own.items() if isinstance(value, str)}
    if format == "diffusers":
        tensors, facts = diffusers_format.write(updates, own)
        return {diffusers_format.FILE_NAME: packed(tensors, fields | facts)}
    if format == "peft":
        files = {}
        for component, (tensors, config) in peft_format.write(updates, layers).items():
            config["base_model_name_or_path"] = described.loads_from
            files[f"{component}/{peft_format.FILE_NAME}"] = packed(tensors, flat)
            files[f"{component}/{peft_format.CONFIG}"] = f"{json.dumps(config, indent=2, sort_keys=True)}\n".encode()
        return files
    write = {"kohya": kohya_format.write, "comfyui": comfyui_format.write}[format]
    return {f"{described.title}{SUFFIX}": packed(write(updates, layers), fields | flat)}

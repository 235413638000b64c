"""One folder per model role, whether the pipeline trained the model or it stays in the Hugging Face cache; loading it.

A zoo stage either trains its model into `models/zoo/<role>` (`save_pretrained` layout) or writes a pointer there,
`source.json` (see `difflab.models.pointers`). Consumers ask `resolve` for the folder and need not know which it was.
"""

import fnmatch
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import read_json, sha256_file
from difflab.core.base.pretrained import pretrained_model
from difflab.core.params.common import HubRef, VaeBatch

if TYPE_CHECKING:
    import torch
    from diffusers.models import AutoencoderKL, SD3Transformer2DModel

POINTER = "source.json"
_NOT_LOADED = ["*.bin", "*.ckpt", "*.pt", "*.pth", "*.pkl", "*.h5", "*.msgpack", "*.onnx*", "*.fp16*"]

T = TypeVar("T")


class Vanished(DifflabError):
    """A repository is not on the Hub, or not for this token; offline, it is not in the cache."""


def resolve(folder: str | Path) -> Path:
    """The folder to load a role from: `folder` itself, or what it points to in the Hugging Face cache.

    Files that the cache lacks are downloaded, unless HF_HUB_OFFLINE=1.
    """
    folder = Path(folder)
    pointer = _read_pointer(folder)
    if pointer is None:
        return folder
    hub, files = pointer
    root = cached_snapshot(hub)
    missing = _missing(root, files)
    if missing and not is_local(hub.repo_id) and not offline():
        try:
            root = ask(hub, lambda: _snapshot(hub, local_files_only=False))
        except Vanished as error:
            mirror = f"; `dvc repro -f zoo_{folder.name}` takes {hub.fallback.repo_id}" if hub.fallback else ""
            raise DifflabError(f"{error}{mirror}") from None
        missing = _missing(root, files)
    if root is None or missing:
        raise DifflabError(
            f"{describe(hub)}: {len(missing)} of {len(files)} files are not on this machine, first "
            f"{missing[0]}: run once with network access and without HF_HUB_OFFLINE"
        )
    return root / hub.subfolder if hub.subfolder else root


def fingerprint(folder: str | Path) -> str:
    """16 hex digits of a role's content, or of a pointer's repository and revision."""
    folder = Path(folder)
    pointer = _read_pointer(folder)
    if pointer is None:
        return sha256_file(folder)[:16]
    hub, files = pointer
    identity = str(sorted(files.items())) if is_local(hub.repo_id) else f"{hub.repo_id}@{hub.revision}"
    return hashlib.sha256(f"{identity}:{patterns(hub)}".encode()).hexdigest()[:16]


def ruler(folder: str | Path) -> str:
    """Which ruler a folder of weights is: 12 hexadecimal characters of the sha256 of its safetensors.

    Raises:
        DifflabError: the folder holds no safetensors.
    """
    folder = Path(folder)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise DifflabError(f"{folder} holds no weights: run `dvc repro zoo_{folder.name}`, or `dvc pull {folder}`")
    text = "".join(f"{file.name}\0{sha256_file(file)}\n" for file in files)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids asking the Hub."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}


def _read_pointer(folder: Path) -> tuple[HubRef, dict[str, str | None]] | None:
    if not folder.is_dir():
        raise DifflabError(f"{folder} is missing: run `dvc repro zoo_{folder.name}`, or `dvc pull {folder}`")
    if not (folder / POINTER).exists():
        return None
    content = read_json(folder / POINTER)
    with reading(folder / POINTER, f"`dvc checkout {folder}` restores it"):
        files = dict(content.pop("files"))
        if not files:
            raise ValueError("it names no file")
        content.pop("mirror_of", None)
        return HubRef.model_validate(content), files


def cached_snapshot(hub: HubRef) -> Path | None:
    """The snapshot in the Hugging Face cache, complete or not; None where there is none."""
    if is_local(hub.repo_id):
        return Path(hub.repo_id)
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return _snapshot(hub, local_files_only=True)
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _snapshot(hub: HubRef, local_files_only: bool) -> Path:
    from huggingface_hub import snapshot_download

    path = snapshot_download(
        hub.repo_id, revision=hub.revision, allow_patterns=patterns(hub), ignore_patterns=not_loaded(hub),
        local_files_only=local_files_only,
    )  # fmt: skip
    return Path(path)


def ask(hub: HubRef, question: Callable[[], T]) -> T:
    """Ask the Hub; each way to fail becomes one line with its remedy. No token is ever printed."""
    from huggingface_hub import errors, get_token

    page = f"https://huggingface.co/{hub.repo_id}"
    try:
        return question()
    except errors.GatedRepoError:
        token = "the token in use has no access" if get_token() else "no token is set"
        raise DifflabError(
            f"{hub.repo_id} requires its licence to be accepted ({token}): accept it at {page}, then set HF_TOKEN"
        ) from None
    except errors.RevisionNotFoundError:
        raise DifflabError(f"{hub.repo_id} has no revision {hub.revision}: see {page}/commits/main") from None
    except errors.RepositoryNotFoundError:
        raise Vanished(f"{hub.repo_id} does not exist or HF_TOKEN does not open it: see {page}") from None
    except errors.HFValidationError:
        raise DifflabError(f"'{hub.repo_id}' is neither a repository on the Hub nor a folder here") from None
    except (OSError, errors.HTTPError) as error:
        if isinstance(error, OSError) and error.errno == 28:
            raise DifflabError(f"the disk is full at {describe(hub)}: free space or set HF_HOME") from None
        raise DifflabError(
            f"the Hub cannot be reached for {describe(hub)} ({type(error).__name__}): check the network, "
            "or set HF_HUB_OFFLINE=1 where the files are cached"
        ) from None


def patterns(hub: HubRef) -> list[str] | None:
    """Shell patterns of the role's files in the repository; None where all of them are."""
    return hub.allow_patterns or ([f"{hub.subfolder}/*"] if hub.subfolder else None)


def not_loaded(hub: HubRef) -> list[str]:
    """Shell patterns of files that are left where they are: weights in other formats, and reduced copies.

    Old repositories hold nothing but a pickled `pytorch_model.bin`. A role whose `allow_patterns` names that very file
    takes it; transformers reads tensors from it and executes nothing (`weights_only`).
    """
    named = [name for name in hub.allow_patterns or () if not set("*?[") & set(name)]
    return [pattern for pattern in _NOT_LOADED if not any(fnmatch.fnmatch(name, pattern) for name in named)]


def _missing(root: Path | None, files: dict[str, Any]) -> list[str]:
    return [name for name in files if root is None or not (root / name).exists()]


def is_local(repo_id: str) -> bool:
    """Whether a folder stands in place of a repository."""
    return Path(repo_id).is_dir()


def describe(hub: HubRef) -> str:
    return f"{hub.repo_id}@{(hub.revision or 'main')[:12]}"


def load_vae(folder: str | Path, device: "torch.device | str" = "cpu", batch: "VaeBatch" = "whole") -> "AutoencoderKL":
    """The autoencoder: float32, frozen, in eval mode, which sees batches as `spare_memory` says."""
    import torch
    from diffusers.models import AutoencoderKL

    vae = pretrained_model(AutoencoderKL, folder, torch_dtype=torch.float32, use_safetensors=True)
    spare_memory(vae, batch)
    return vae.requires_grad_(False).eval().to(device)


def spare_memory(vae: "AutoencoderKL", batch: "VaeBatch") -> None:
    """Let an autoencoder see a batch "whole", "sliced" picture by picture, or "tiled".

    Slices change results by rounding. Tiles are half as long and wide as the pictures that it was trained on, overlap by
    a quarter and are blended: the picture's parts know less of each other, and a memory of one tile is enough.
    """
    if batch != "whole":
        vae.enable_slicing()
    if batch == "tiled":
        vae.enable_tiling()
        vae.tile_sample_min_size //= 2
        vae.tile_latent_min_size //= 2


def load_transformer(
    folder: str | Path, device: "torch.device | str" = "cpu", dtype: "torch.dtype | None" = None
) -> "SD3Transformer2DModel":
    """The diffusion transformer, from the sub-folder `transformer`, in eval mode; dtype None keeps the stored one."""
    from diffusers.models import SD3Transformer2DModel

    path = Path(folder) / "transformer"
    return pretrained_model(SD3Transformer2DModel, path, torch_dtype=dtype, use_safetensors=True).eval().to(device)

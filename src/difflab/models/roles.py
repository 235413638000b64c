"""One folder per model role, whether the pipeline trained the model or it stays in the Hugging Face cache.

A zoo stage either trains its model into `models/zoo/<role>` (`save_pretrained` layout) or writes a pointer
there, `source.json`. Every consumer asks `resolve` for the folder to load from and need not know which it
was, so pretrained weights never enter the DVC cache.
"""

import fnmatch
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, sha256_file, write_json
from difflab.models.params import HubRef

POINTER = "source.json"
_NOT_LOADED = ["*.bin", "*.ckpt", "*.pt", "*.pth", "*.pkl", "*.h5", "*.msgpack", "*.onnx*", "*.fp16*"]
_SHA256_LENGTH = 64

T = TypeVar("T")


def write_pointer(folder: str | Path, hub: HubRef) -> None:
    """Write `folder`/source.json: repository, exact revision, the role's files and their sha256 where known.

    The list of files comes from the Hub (nothing is downloaded), or from the Hugging Face cache when offline.
    The Hub knows the sha256 of large files only; the others, fixed by the revision, are listed with null.

    Raises:
        DifflabError: the repository or revision is unknown, out of reach, or its licence not accepted.
    """
    if _is_local(hub.repo_id):
        root = Path(hub.repo_id)
        revision, files = None, {name: sha256_file(root / name) for name in _names(root)}
    elif offline():
        revision, files = _from_cache(hub)
    else:
        revision, files = _from_hub(hub)
    files = {name: files[name] for name in sorted(files) if _wanted(name, hub)}
    if not files:
        raise DifflabError(
            f"{hub.repo_id} has no file like {_patterns(hub)}: see subfolder and allow_patterns"
        )
    write_json(Path(folder) / POINTER, {**hub.model_dump(), "revision": revision, "files": files})


def resolve(folder: str | Path) -> Path:
    """The folder to load a role from: `folder` itself, or what it points to in the Hugging Face cache.

    Files that the cache lacks are downloaded, unless HF_HUB_OFFLINE=1.

    Raises:
        DifflabError: there is no such role, or its files are neither cached nor to be had.
    """
    folder = Path(folder)
    pointer = _read_pointer(folder)
    if pointer is None:
        return folder
    hub, files = pointer
    root = cached_snapshot(hub)
    missing = _missing(root, files)
    if missing and not _is_local(hub.repo_id) and not offline():
        root = _ask(hub, lambda: _snapshot(hub, local_files_only=False))
        missing = _missing(root, files)
    if root is None or missing:
        raise DifflabError(
            f"{_describe(hub)}: {len(missing)} of {len(files)} files are not on this machine, first "
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
    identity = str(sorted(files.items())) if _is_local(hub.repo_id) else f"{hub.repo_id}@{hub.revision}"
    return hashlib.sha256(f"{identity}:{_patterns(hub)}".encode()).hexdigest()[:16]


def offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids asking the Hub."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}


def _read_pointer(folder: Path) -> tuple[HubRef, dict[str, str | None]] | None:
    if not folder.is_dir():
        raise DifflabError(f"{folder} is missing: run `dvc repro zoo_{folder.name}`, or `dvc pull {folder}`")
    if not (folder / POINTER).exists():
        return None
    content = read_json(folder / POINTER)
    files = content.pop("files")
    return HubRef.model_validate(content), files


def _from_hub(hub: HubRef) -> tuple[str | None, dict[str, str | None]]:
    from huggingface_hub import HfApi

    info = _ask(hub, lambda: HfApi().model_info(hub.repo_id, revision=hub.revision, files_metadata=True))
    return info.sha, {s.rfilename: s.lfs.sha256 if s.lfs else None for s in info.siblings or []}


def _from_cache(hub: HubRef) -> tuple[str, dict[str, str | None]]:
    root = cached_snapshot(hub)
    if root is None:
        raise DifflabError(
            f"{_describe(hub)} is not in the Hugging Face cache: run once without HF_HUB_OFFLINE"
        )
    blobs = {name: (root / name).resolve().name for name in _names(root)}
    return root.name, {name: blob if len(blob) == _SHA256_LENGTH else None for name, blob in blobs.items()}


def cached_snapshot(hub: HubRef) -> Path | None:
    """The snapshot in the Hugging Face cache, complete or not; None where there is none."""
    if _is_local(hub.repo_id):
        return Path(hub.repo_id)
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return _snapshot(hub, local_files_only=True)
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _snapshot(hub: HubRef, local_files_only: bool) -> Path:
    from huggingface_hub import snapshot_download

    path = snapshot_download(
        hub.repo_id,
        revision=hub.revision,
        allow_patterns=_patterns(hub),
        ignore_patterns=_NOT_LOADED,
        local_files_only=local_files_only,
    )
    return Path(path)


def _ask(hub: HubRef, question: Callable[[], T]) -> T:
    """Ask the Hub; each way to fail becomes one line with its remedy. No token is ever printed."""
    from huggingface_hub import errors, get_token

    page = f"https://huggingface.co/{hub.repo_id}"
    try:
        return question()
    except errors.GatedRepoError:
        token = "the token in use has no access" if get_token() else "no token is set"
        raise DifflabError(
            f"{hub.repo_id} wants its licence accepted ({token}): accept it at {page}, then set HF_TOKEN"
        ) from None
    except errors.RevisionNotFoundError:
        raise DifflabError(f"{hub.repo_id} has no revision {hub.revision}: see {page}/commits/main") from None
    except errors.RepositoryNotFoundError:
        raise DifflabError(f"{hub.repo_id} does not exist or HF_TOKEN does not open it: see {page}") from None
    except errors.HFValidationError:
        raise DifflabError(f"'{hub.repo_id}' is neither a repository on the Hub nor a folder here") from None
    except (OSError, errors.HTTPError) as error:
        if isinstance(error, OSError) and error.errno == 28:
            raise DifflabError(f"the disk is full at {_describe(hub)}: free space or set HF_HOME") from None
        raise _unreachable(hub, error) from None


def _unreachable(hub: HubRef, error: Exception) -> DifflabError:
    return DifflabError(
        f"the Hub cannot be reached for {_describe(hub)} ({type(error).__name__}): check the network, "
        "or set HF_HUB_OFFLINE=1 where the files are cached"
    )


def _patterns(hub: HubRef) -> list[str] | None:
    return hub.allow_patterns or ([f"{hub.subfolder}/*"] if hub.subfolder else None)


def _wanted(name: str, hub: HubRef) -> bool:
    patterns = _patterns(hub)
    if any(fnmatch.fnmatch(name, p) for p in _NOT_LOADED) or name.startswith("."):
        return False
    return patterns is None or any(fnmatch.fnmatch(name, p) for p in patterns)


def _names(root: Path) -> list[str]:
    return [p.relative_to(root).as_posix() for p in sorted(root.rglob("*")) if p.is_file()]


def _missing(root: Path | None, files: dict[str, Any]) -> list[str]:
    return [name for name in files if root is None or not (root / name).exists()]


def _is_local(repo_id: str) -> bool:
    return Path(repo_id).is_dir()


def _describe(hub: HubRef) -> str:
    return f"{hub.repo_id}@{(hub.revision or 'main')[:12]}"

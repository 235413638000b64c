"""Pointers to released models, in place of weights that the pipeline trains (`difflab.core.base.roles` reads them)."""

import fnmatch
import os
from pathlib import Path
from typing import TYPE_CHECKING

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path, sha256_file, write_json
from difflab.core.base.roles import (
    POINTER,
    Vanished,
    ask,
    cached_snapshot,
    describe,
    is_local,
    not_loaded,
    offline,
    patterns,
    resolve,
)

if TYPE_CHECKING:
    from difflab.core.base.stage import Stage
    from difflab.core.params.common import HubRef


def point_to(stage: "Stage", hub: "HubRef | None", folder: Path) -> bool:
    """Make the role of a zoo stage a pointer where its parameters name a released model; whether that was its work."""
    if hub is None:
        return False
    with atomic_path(folder) as temporary:
        taken = write_pointer(temporary, hub)
    stage.write_metrics(f"metrics/zoo_{folder.name}.json", {"trained": 0})
    stage.done(f"wrote {folder}, a pointer to {taken.repo_id}")
    return True


def write_pointer(folder: str | Path, hub: "HubRef") -> "HubRef":
    """Write `folder`/source.json: repository, exact revision, the role's files and their sha256 where known.

    The list of files comes from the Hub (nothing is downloaded), or from the Hugging Face cache when offline.
    The Hub knows the sha256 of large files only; the others, fixed by the revision, are listed with null.
    Where the repository does not exist, its mirror `hub.fallback` is taken, and the pointer says of what and why.

    Returns:
        What the pointer names: `hub`, or its mirror.
    """
    mirror_of = {}
    try:
        revision, files = _listing(hub)
    except Vanished as error:
        if (mirror := hub.fallback) is None:
            raise
        print(f"{str(error).partition(': ')[0]} ({mirror.reason}): taking its mirror {mirror.repo_id}", flush=True)
        mirror_of = {"mirror_of": {"repo_id": hub.repo_id, "revision": hub.revision, "reason": mirror.reason}}
        hub = hub.model_copy(update={"repo_id": mirror.repo_id, "revision": mirror.revision, "fallback": None})
        revision, files = _listing(hub)
    files = {name: files[name] for name in sorted(files) if listed(name, hub)}
    if not files:
        raise DifflabError(f"{hub.repo_id} has no file like {patterns(hub)}: see subfolder and allow_patterns")
    fallback = {} if hub.fallback else {"fallback"}
    content = hub.model_dump(exclude=fallback) | {"revision": revision} | mirror_of | {"files": files}
    write_json(Path(folder) / POINTER, content)
    return hub


def _listing(hub: "HubRef") -> tuple[str | None, dict[str, str | None]]:
    """The exact revision of a repository (of a folder none), and all of its files with their sha256 where known."""
    if is_local(hub.repo_id):
        root = Path(hub.repo_id)
        return None, {name: sha256_file(root / name) for name in _names(root)}
    return _from_cache(hub) if offline() else _from_hub(hub)


def fetch(hub: "HubRef") -> Path:
    """The folder of a released model in the Hugging Face cache; what the cache lacks is downloaded.

    The pointer to it, with the revision that the Hub answered where none is pinned, is kept under .scratch.
    """
    name = f"{hub.repo_id.replace('/', '--')}@{hub.revision or 'main'}"
    pointer = Path(os.environ.get("DVC_ROOT", ".")) / ".scratch" / "hub" / name
    if not pointer.exists():
        write_pointer(pointer, hub)
    return resolve(pointer)


def _from_hub(hub: "HubRef") -> tuple[str | None, dict[str, str | None]]:
    from huggingface_hub import HfApi

    info = ask(hub, lambda: HfApi().model_info(hub.repo_id, revision=hub.revision, files_metadata=True))
    return info.sha, {s.rfilename: s.lfs.sha256 if s.lfs else None for s in info.siblings or []}


def _from_cache(hub: "HubRef") -> tuple[str, dict[str, str | None]]:
    root = cached_snapshot(hub)
    if root is None:
        raise Vanished(f"{describe(hub)} is not in the Hugging Face cache: run once without HF_HUB_OFFLINE")
    blobs = {name: (root / name).resolve().name for name in _names(root)}
    return root.name, {name: blob if len(blob) == 64 else None for name, blob in blobs.items()}


def listed(name: str, hub: "HubRef") -> bool:
    """Whether a file of the repository belongs to the role."""
    if any(fnmatch.fnmatch(name, p) for p in not_loaded(hub)) or name.startswith("."):
        return False
    return any(fnmatch.fnmatch(name, p) for p in patterns(hub) or ["*"])


def _names(root: Path) -> list[str]:
    return [p.relative_to(root).as_posix() for p in sorted(root.rglob("*")) if p.is_file()]

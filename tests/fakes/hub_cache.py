"""A Hugging Face cache as downloads lay it out."""

import hashlib

from difflab.core.params.common import HubRef

REVISION = "0123456789abcdef0123456789abcdef01234567"


def hub(repo_id="maker/model", revision=REVISION, subfolder=None, allow_patterns=None):
    return HubRef(repo_id=repo_id, revision=revision, subfolder=subfolder, allow_patterns=allow_patterns)


def publish(cache, files, repo_id="maker/model", revision=REVISION):
    """Lay files ({name: bytes}) into the cache as a download does: blobs named by hash, links, a ref."""
    repository = cache / f"models--{repo_id.replace('/', '--')}"
    for name, content in files.items():
        large = name.endswith(".safetensors")
        blob = repository / "blobs" / (hashlib.sha256 if large else hashlib.sha1)(content).hexdigest()
        link = repository / "snapshots" / revision / name
        blob.parent.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        link.symlink_to(blob)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(revision)
    return repository / "snapshots" / revision


def contents(folder, prefix=""):
    return {f"{prefix}{p.relative_to(folder).as_posix()}": p.read_bytes() for p in folder.rglob("*") if p.is_file()}

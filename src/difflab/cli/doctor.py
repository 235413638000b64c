"""What this machine has, and what is missing for the parameters of a run. Prints no secret and starts nothing."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import urlopen

from difflab.cli import compose
from difflab.cli.plan import Finding, hub_models, needs
from difflab.cli.progress import count_stages
from difflab.cli.repro import default_jobs, visible_gpus
from difflab.core.environment import installed, mismatches

PACKAGES = ("torch", "diffusers", "transformers", "peft", "dvc", "mlflow")


def examine(params: Any) -> list[Finding]:
    """All findings for checked parameters, in the order in which a person would ask."""
    released = any(True for _ in hub_models(params))
    checks = (
        versions(params.environment.versions),
        machine(released),
        repository(),
        cache(),
        tracking(),
        needs(params),
    )
    return [finding for check in checks for finding in check]


def versions(locked: str) -> Iterator[Finding]:
    """Python, packages and git; libraries of other versions than params.yaml has, whose results may differ."""
    yield Finding("python", f"{platform.python_version()} ({platform.system()} {platform.machine()})")
    found = {name: installed(name) for name in PACKAGES}
    absent = ", ".join(name for name, version in found.items() if not version)
    remedy = f"{absent} cannot be imported: make setup" if absent else ""
    yield Finding("packages", ", ".join(f"{name} {version or 'absent'}" for name, version in found.items()), remedy)
    if other := mismatches(locked):
        yield Finding("versions", f"{', '.join(other)}: results may differ; `make setup` installs the locked ones")
    git = _output("git", "--version")
    yield Finding("git", git or "not found", "" if git else "install git")


def machine(released: bool) -> Iterator[Finding]:
    """Processors, memory, GPUs, which `released` models need, and how many stages `difflab repro` would run at once."""
    import psutil

    memory = psutil.virtual_memory()
    found = f"{os.cpu_count()} processors, {memory.available / 1e9:.0f} of {memory.total / 1e9:.0f} GB memory free"
    if threads := os.environ.get("OMP_NUM_THREADS"):
        found += f", OMP_NUM_THREADS={threads} (stages set their own)"
    yield Finding("machine", found)
    gpus = _output("nvidia-smi", "-L").splitlines() if visible_gpus() else []
    names = ", ".join(line.partition(": ")[2].partition(" (UUID")[0] for line in gpus)
    remedy = "an NVIDIA GPU: the released models of this profile are too large for a CPU"
    yield Finding("device", names or "CPU (no NVIDIA GPU visible)", remedy if released and not names else "")
    yield Finding("jobs", f"difflab repro runs {count_stages(default_jobs())} at once")


def repository() -> Iterator[Finding]:
    """Whether params.yaml is what conf/ composes, and what Git does not have yet."""
    text = "params.yaml is the default of conf/"
    if compose.compose().encode() != Path("params.yaml").read_bytes():
        why = "an experiment applied, or an edit: `difflab compose --check` shows where"
        text = f"params.yaml differs from the default of conf/ ({why})"
    yield Finding("params", text)
    changed = _output("git", "status", "--porcelain", "--untracked-files=no").splitlines()
    unmerged = ", ".join(_output("git", "diff", "--name-only", "--diff-filter=U").split())
    remedy = f"an end to the merge of {unmerged}; of dvc.lock take one side, then `dvc repro`" if unmerged else ""
    yield Finding("git", f"{len(changed)} changed files" if changed else "nothing to commit", remedy)


def cache() -> Iterator[Finding]:
    """Where DVC keeps results, by which links, and the remote they are shared through."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            local = repo.cache.local
            yield Finding("cache", f"{local.path}, links tried: {', '.join(local.cache_types)}")
            yield _remote(repo)
    except DvcException as error:
        yield Finding("cache", str(error), "run this in the root of a clone")


def _remote(repo: Any) -> Finding:
    name = repo.config["core"].get("remote")
    if not name:
        return Finding("remote", "none: results stay on this machine (docs/sharing.md)")
    url = repo.config["remote"].get(name, {}).get("url", "")
    if not url:
        return Finding("remote", name, f"remote '{name}' has no url: dvc remote add -d {name} URL")
    problem = ""
    try:
        odb = repo.cloud.get_remote_odb(name)
        if odb.fs.protocol == "local" and not Path(url).parent.is_dir():  # a push makes the last folder
            problem = "there is no such folder"
        else:
            odb.fs.exists(odb.path)
    except Exception as error:  # whatever a storage client raises: the reason is all that matters here
        problem = without_secrets(f"{type(error).__name__}: {error}".splitlines()[0])[:200]
    remedy = f"cannot be read ({problem}): check the address and the credentials in the environment"
    return Finding("remote", f"{name}, {without_secrets(url)}", remedy if problem else "")


def tracking() -> Iterator[Finding]:
    """Where MLflow records runs, and whether its server answers; a refusal (no permission) is an answer too."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        yield Finding("tracking", "MLflow in mlflow.db, here")
        return
    shown, remedy = without_secrets(uri), ""
    try:
        if uri.startswith("http"):
            urlopen(f"{shown.rstrip('/')}/health", timeout=5).close()
    except HTTPError:
        pass
    except (OSError, ValueError, HTTPException):
        remedy = "no answer from there: start the server, or unset MLFLOW_TRACKING_URI; stages run without it"
    yield Finding("tracking", f"MLflow at {shown}", remedy)


def without_secrets(text: str) -> str:
    """An address without user, password and query: `https://me:key@host/x?sig=1` is `https://host/x`."""
    words = []
    for word in text.split():
        parts = urlsplit(word) if "://" in word else None
        if parts and parts.netloc:
            word = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        words.append(word)
    return " ".join(words)


def _output(*command: str) -> str:
    """What a program prints, or nothing where there is no such program."""
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

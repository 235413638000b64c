"""What this machine has, and what is missing for the parameters of a run. Prints no secret and starts nothing."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import urlopen

from difflab.cli import compose, plan
from difflab.cli.repro import default_jobs, visible_gpus
from difflab.core.environment import mismatches

PACKAGES = ("torch", "diffusers", "transformers", "peft", "dvc", "mlflow")
SPACE_LEFT_GB = 2.0  # beside what the plan counts: environment, archives of the miniature, logs


@dataclass(frozen=True)
class Finding:
    """One line: a topic, what was found, and, where the run needs something else, what to do about it."""

    topic: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.topic:<10} {self.text}" + (f"\n{'':<10} MISSING: {self.remedy}" if self.remedy else "")


def examine(params: Any) -> list[Finding]:
    """All findings for checked parameters, in the order in which a person would ask."""
    models = list(plan.hub_models(params))
    checks = (versions(params.environment), machine(models), repository(), cache(), disk(params, models), tracking())
    return [*(f for check in checks for f in check), *weights(models), *archives(params)]


def versions(locked: Mapping[str, str]) -> Iterator[Finding]:
    """Python, packages and git; libraries of other versions than params.yaml has, whose results may differ."""
    yield Finding("python", f"{platform.python_version()} ({platform.system()} {platform.machine()})")
    yield Finding("packages", ", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    absent = [name for name in PACKAGES if _version(name) == "absent"]
    if absent:
        yield Finding("packages", f"{', '.join(absent)} cannot be imported", "make setup")
    if other := mismatches(locked):
        yield Finding("versions", f"{', '.join(other)}: results may differ; `make setup` installs the locked ones")
    git = _output("git", "--version")
    yield Finding("git", git or "not found", "" if git else "install git")


def machine(models: list[plan.Model]) -> Iterator[Finding]:
    """Processors, memory, GPUs, and how many stages `difflab repro` would run at once."""
    import psutil

    threads = os.environ.get("OMP_NUM_THREADS")
    memory = psutil.virtual_memory()
    yield Finding(
        "machine",
        f"{os.cpu_count()} processors, {memory.available / 1e9:.0f} of {memory.total / 1e9:.0f} GB memory free"
        + (f", OMP_NUM_THREADS={threads} (stages set their own)" if threads else ""),
    )
    gpus = _output("nvidia-smi", "-L").splitlines() if visible_gpus() else []
    names = [line.partition(": ")[2].partition(" (UUID")[0] for line in gpus]
    remedy = "an NVIDIA GPU: the released models of this profile are too large for a CPU"
    yield Finding("device", ", ".join(names) or "CPU (no NVIDIA GPU visible)", remedy if models and not names else "")
    yield Finding("jobs", f"difflab repro runs {_stages(default_jobs())} at once")


def repository() -> Iterator[Finding]:
    """Whether params.yaml is what conf/ composes, and what Git does not have yet."""
    drift = compose.difference(compose.compose(), Path("params.yaml").read_text())
    yield Finding(
        "params",
        "params.yaml is the default of conf/"
        if not drift
        else "params.yaml differs from the default of conf/"
        " (an experiment applied, or an edit): `difflab compose --check` shows where",
    )
    changed = _output("git", "status", "--porcelain", "--untracked-files=no").splitlines()
    unmerged = _output("git", "diff", "--name-only", "--diff-filter=U").split()
    yield Finding(
        "git",
        f"{len(changed)} changed files" if changed else "nothing to commit",
        f"an end to the merge of {', '.join(unmerged)}; of dvc.lock take one side, then `dvc repro`"
        if unmerged
        else "",
    )


def cache() -> Iterator[Finding]:
    """Where DVC keeps results, by which links, and the remote they are shared through."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            path = Path(repo.cache.local.path)
            links = ", ".join(repo.cache.local.cache_types)
            yield Finding("cache", f"{path}, links tried: {links}")
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
    shown = without_secrets(url)
    problem = unreachable(repo, name, url)
    remedy = f"cannot be read ({problem}): check the address and the credentials in the environment"
    return Finding("remote", f"{name}, {shown}", remedy if problem else "")


def unreachable(repo: Any, name: str, url: str) -> str:
    """Why a DVC remote cannot be read, in a few words; empty where it can."""
    try:
        odb = repo.cloud.get_remote_odb(name)
        if odb.fs.protocol == "local" and not Path(url).parent.is_dir():  # a push makes the last folder
            return "there is no such folder"
        odb.fs.exists(odb.path)
    except Exception as error:  # whatever a storage client raises: the reason is all that matters here
        return without_secrets(f"{type(error).__name__}: {error}".splitlines()[0])[:200]
    return ""


def disk(params: Any, models: list[plan.Model]) -> Iterator[Finding]:
    free = shutil.disk_usage(".").free / 1e9
    need = sum(plan.disk_needs(params, [m for m in models if not m.cached]).values()) + SPACE_LEFT_GB
    text = f"{free:.0f} GB free, about {need:.0f} GB needed by profile {params.profile}"
    yield Finding("disk", text, "" if free > need else "free some space, or put the caches on another disk")


def tracking() -> Iterator[Finding]:
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        yield Finding("tracking", "MLflow in mlflow.db, here")
        return
    shown = without_secrets(uri)
    silent = uri.startswith("http") and not _answers(f"{shown.rstrip('/')}/health")
    remedy = "no answer from there: start the server, or unset MLFLOW_TRACKING_URI; stages run without it"
    yield Finding("tracking", f"MLflow at {shown}", remedy if silent else "")


def weights(models: list[plan.Model]) -> Iterator[Finding]:
    """Models that are not in the Hugging Face cache, and whether they can be fetched."""
    from huggingface_hub import get_token
    from huggingface_hub.constants import HF_HUB_OFFLINE

    token = get_token() is not None
    for model in models:
        name = f"{model.role}: {model.hub.repo_id}"
        if model.cached:
            yield Finding("weights", f"{name}, in the cache, wholly or in part")
        elif HF_HUB_OFFLINE:
            yield Finding("weights", name, "not in the cache, and HF_HUB_OFFLINE forbids to fetch it")
        elif model.gated and not token:
            remedy = f"a token in HF_TOKEN, of an account that accepted https://huggingface.co/{model.hub.repo_id}"
            yield Finding("weights", name, remedy)
        else:
            yield Finding("weights", f"{name}, fetched by its stage")


def archives(params: Any) -> Iterator[Finding]:
    for name in plan.archive_names(params):
        archive = getattr(params.data, name)
        found, remedy = plan.find_archive(params, archive)
        yield Finding("data", f"{name}: {found}", remedy)


def without_secrets(text: str) -> str:
    """An address without user, password and query: `https://me:key@host/x?sig=1` is `https://host/x`."""
    words = []
    for word in text.split():
        parts = urlsplit(word) if "://" in word else None
        if parts and parts.netloc:
            word = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        words.append(word)
    return " ".join(words)


def _answers(address: str) -> bool:
    """Whether something speaks HTTP there; a refusal (no permission) is an answer too."""
    try:
        urlopen(address, timeout=5).close()
    except HTTPError:
        return True
    except (OSError, ValueError, HTTPException):
        return False
    return True


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _output(*command: str) -> str:
    """What a program prints, or nothing where there is no such program."""
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _stages(count: int) -> str:
    return "1 stage" if count == 1 else f"{count} stages"

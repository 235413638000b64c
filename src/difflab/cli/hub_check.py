"""Whether the Hub would give every file that a run needs: the first byte of each is asked for, before anything runs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, TimeoutError, as_completed
from dataclasses import replace
from typing import TYPE_CHECKING

from difflab.cli.plan import Finding, Model
from difflab.core.base.errors import DifflabError
from difflab.core.base.roles import ask, describe, is_local, offline
from difflab.models.pointers import listed

if TYPE_CHECKING:
    from difflab.core.params.common import HubRef

_UNREACHABLE = "the Hub cannot be reached for"  # as `ask` says it
THREADS, SECONDS, ALL_SECONDS = 16, 10.0, 120.0  # at once; for an answer; for all of them


def hub_check(models: list[Model], seconds: float = SECONDS, all_seconds: float = ALL_SECONDS) -> Iterator[Finding]:
    """One line for each model: its files can be fetched, or what is in the way and its remedy.

    Nothing is kept. Repositories are asked side by side, their files too, each for its first byte.

    Args:
        seconds: how long one answer may take.
        all_seconds: how long all of them may take; those that did not answer are named.
    """
    remote = [model for model in models if not is_local(model.hub.repo_id)]
    if not remote:
        yield Finding("hub", "no model of the Hub is needed")
        return
    if offline():
        yield Finding("hub", "not asked: HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE, or do without --hub")
        return
    repositories: dict[tuple[str, str | None], list[int]] = {}
    for number, model in enumerate(remote):
        repositories.setdefault((model.hub.repo_id, model.hub.revision), []).append(number)
    pool, files = ThreadPoolExecutor(THREADS), ThreadPoolExecutor(THREADS)
    waiting = {
        pool.submit(_repository, [remote[number] for number in own], files, seconds): own
        for own in repositories.values()
    }
    found: dict[int, Finding] = {}
    try:
        for done in as_completed(waiting, timeout=all_seconds):
            found |= zip(waiting[done], done.result(), strict=True)
    except TimeoutError:
        pass
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        files.shutdown(wait=False, cancel_futures=True)
    unreachable = {number: finding for number, finding in found.items() if _UNREACHABLE in finding.text}
    shared = unreachable if len(unreachable) > 1 else {}  # their remedy is said once, after them
    for number, model in enumerate(remote):
        late = f"{model.role}: {describe(model.hub)} did not answer within {all_seconds:g} seconds"
        finding = found.get(number) or Finding("hub", late, "try again, or look at https://status.huggingface.co")
        yield replace(finding, remedy="") if number in shared else finding
    if shared:
        remedy = next(iter(shared.values())).remedy
        yield Finding("hub", f"{len(shared)} of {len(remote)} cannot be reached", remedy)


def _repository(models: list[Model], pool: ThreadPoolExecutor, seconds: float) -> list[Finding]:
    """The findings on the roles of one repository, in their order; where it is gone, of its fallback."""
    hub = models[0].hub
    try:
        names = ask(hub, lambda: _names(hub, seconds))
    except DifflabError as error:
        mirror = getattr(hub, "fallback", None)
        if mirror is None or "does not exist" not in str(error):
            return [_problem(model, str(error)) for model in models]
        update = {"repo_id": mirror.repo_id, "revision": mirror.revision, "fallback": None}
        stands_in = [replace(model, hub=model.hub.model_copy(update=update)) for model in models]
        found = _repository(stands_in, pool, seconds)
        why = f" (its fallback; {hub.repo_id} is gone: {mirror.reason})"
        return [replace(finding, text=finding.text + why) for finding in found]
    return [_files(model, [n for n in names if listed(n, model.hub)], pool, seconds) for model in models]


def _files(model: Model, names: list[str], pool: ThreadPoolExecutor, seconds: float) -> Finding:
    hub = model.hub
    if not any(name.endswith((".safetensors", ".bin")) for name in names):
        return _problem(
            model,
            f"{describe(hub)} has no safetensors among {len(names)} files of this role: let allow_patterns of its hub "
            "name a file of weights; pytorch_model.bin too is read, by its own name",
        )
    answers = pool.map(lambda name: _first_byte(hub, name, seconds), names)
    bad = [(name, problem) for name, problem in zip(names, answers, strict=True) if problem]
    if bad:
        others = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        return _problem(model, f"{bad[0][1]} ({bad[0][0]}{others})")
    return Finding("hub", f"{model.role}: {describe(hub)}, all {len(names)} files can be fetched")


def _problem(model: Model, problem: str) -> Finding:
    """What is in the way of a role's files, of an error whose remedy follows a colon."""
    what, _, remedy = problem.partition(": ")
    return Finding("hub", f"{model.role}: {what}", remedy or "see allow_patterns of its hub")


def _names(hub: "HubRef", seconds: float) -> list[str]:
    from huggingface_hub import HfApi

    info = HfApi().model_info(hub.repo_id, revision=hub.revision, timeout=seconds)
    return [sibling.rfilename for sibling in info.siblings or []]


def _first_byte(hub: "HubRef", name: str, seconds: float) -> str:
    """Why a file cannot be fetched, as `ask` says it; empty where its first byte came."""
    try:
        ask(hub, lambda: _read_byte(hub, name, seconds))
    except DifflabError as error:
        return str(error)
    return ""


def _read_byte(hub: "HubRef", name: str, seconds: float) -> None:
    """Open a file for its first byte; a server that knows no ranges is left after it."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    headers: dict[str, str] = {**build_hf_headers(), "Range": "bytes=0-0"}
    url = hf_hub_url(hub.repo_id, name, revision=hub.revision)
    with get_session().stream("GET", url, headers=headers, timeout=seconds, follow_redirects=True) as response:
        hf_raise_for_status(response)
        next(response.iter_raw(1), b"")

"""`dvc repro` with several stages at once.

DVC runs one stage after the other, but lets several processes run different stages of one repository: it locks
the repository except while a stage's command runs. So each stage here is its own `dvc repro --single-item`, started
when what it depends on is done and a place is free; of several, the one with the longest way to the end goes first.
"""

import contextlib
import functools
import operator
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Generator, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from difflab.cli.times import expected_seconds
from difflab.core.base.errors import DifflabError, suggestion
from difflab.core.params.loading import addresses, load_params

DONE, FAILED, SKIPPED = "done", "failed", "skipped"
REPORT = Path("reports/index.html")
# What DVC says of every single stage; the stages' own lines tell the same.
_CHATTER = ("Use `dvc push`", "> ", "Updating lock file", "Generating lock file", "To track the changes", "\tgit add")


def default_jobs() -> int:
    """One stage for each GPU; without one, as many as the processors hold, each with `runtime.num_threads`."""
    if gpus := visible_gpus():
        return len(gpus)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, processors // load_params().runtime.num_threads)


def visible_gpus() -> list[str]:
    """Numbers or names of the CUDA devices, found without importing torch."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in named.split(",") if name.strip()]
    if not shutil.which("nvidia-smi"):
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    return [str(number) for number in range(sum(line.startswith("GPU ") for line in listed.splitlines()))]


def repro(targets: Collection[str], jobs: int | None = None) -> dict[str, str]:
    """Bring the targets (all stages if there are none) up to date, `jobs` stages at once (None: `default_jobs`).

    A failed stage stops what depends on it, nothing else. With several GPUs each stage at a time has its own.

    Returns:
        for each stage that was out of date: "done", "failed" or "skipped", because a stage before it failed.

    Raises:
        DifflabError: an unknown target, or DVC cannot read the pipeline.
    """
    needs = changed(targets)
    if not needs:
        return {}
    jobs = jobs or default_jobs()
    seconds = expected_seconds(needs)
    progress, urgency = Progress(needs, seconds, jobs), remaining_seconds(needs, seconds)
    gpus = visible_gpus() if jobs > 1 else []
    places = [{"CUDA_VISIBLE_DEVICES": gpus[job % len(gpus)]} if gpus else {} for job in range(jobs)]
    order = TopologicalSorter(needs)
    order.prepare()
    outcomes: dict[str, str] = {}
    ready: list[str] = []
    running: dict[Future[str], tuple[str, dict[str, str]]] = {}
    with ThreadPoolExecutor(jobs) as pool:
        while order.is_active():
            ready = sorted([*ready, *order.get_ready()], key=urgency.__getitem__)
            while ready and places:
                stage, place = ready.pop(), places.pop()
                blocked = any(outcomes[before] != DONE for before in needs[stage])
                running[pool.submit(_run, stage, place, blocked)] = stage, place
                progress.started[stage] = time.monotonic()
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                stage, place = running.pop(done)
                outcomes[stage] = done.result()
                progress.ended(stage, outcomes[stage])
                places.append(place)
                order.done(stage)
    return {stage: outcomes[stage] for stage in needs}


class Progress:
    """How much is done and how long the rest takes: one line at the beginning, one when each stage ends.

    `needs` says which stages each waits for, `seconds` how long each is expected to take.
    """

    def __init__(self, needs: Mapping[str, list[str]], seconds: Mapping[str, float], jobs: int) -> None:
        self.started: dict[str, float] = {}
        self._needs, self._seconds, self._jobs, self._left = needs, seconds, jobs, set(needs)
        print(f"{count_stages(len(needs))} to run, {jobs} at once, {self._remaining()}", flush=True)

    def ended(self, stage: str, outcome: str) -> None:
        self._left.discard(stage)
        count = f"{len(self._needs) - len(self._left)} of {count_stages(len(self._needs))}"
        print(f"{count}: {stage} {outcome}, {self._remaining()}", flush=True)

    def _remaining(self) -> str:
        now = time.monotonic()
        own = {s: max(0.0, self._seconds[s] - (now - self.started.get(s, now))) for s in self._left}
        needs = {stage: [n for n in self._needs[stage] if n in own] for stage in own}
        seconds = max(*remaining_seconds(needs, own).values(), sum(own.values()) / self._jobs, 0.0)
        return f"about {seconds / 60:.0f} minutes left" if seconds >= 90 else f"about {seconds:.0f} seconds left"


def count_stages(count: int) -> str:
    return f"{count} stage" if count == 1 else f"{count} stages"


def remaining_seconds(needs: Mapping[str, Iterable[str]], seconds: Mapping[str, float]) -> dict[str, float]:
    """For each stage the time from its start to the end of the study, if nothing had to wait."""
    remaining: dict[str, float] = {}
    for stage in reversed(list(TopologicalSorter(needs).static_order())):
        after = [remaining[later] for later, before in needs.items() if stage in before]
        remaining[stage] = seconds[stage] + max(after, default=0)
    return remaining


def changed(targets: Collection[str], values: Mapping[str, Any] | None = None) -> dict[str, list[str]]:
    """The stages that are out of date or depend on one that is, in order, and which of these each waits for.

    `values` are parameters to ask about, in place of those of params.yaml.
    """
    names = addresses(str(Path("dvc.yaml").resolve()))
    known = sorted({*names, *(name.split("@")[0] for name in names)})
    if wrong := [target for target in targets if target not in known and ":" not in target]:
        near = suggestion(wrong[0], known) or "; `dvc stage list` names them"
        raise DifflabError(f"dvc.yaml has no stage '{wrong[0]}'{near}")
    import networkx
    from dvc.exceptions import DvcException
    from dvc.repo import Repo, lock_repo

    try:
        # locked, DVC does not read its own files for each question anew
        with _parameters_parsed_once(values), Repo() as repository, lock_repo(repository):
            graph = repository.index.graph  # an edge leads from a stage to one that it depends on
            named = {stage for target in targets for stage in repository.stage.collect(target)} or set(graph)
            wanted = named.union(*(networkx.descendants(graph, stage) for stage in named))
            order = [s.addressing for s in networkx.dfs_postorder_nodes(graph) if s in wanted]
            needs = {s.addressing: [d.addressing for d in graph.successors(s)] for s in wanted}
            stale = set(repository.status(targets=list(targets) or None, with_deps=True))
    except DvcException as error:
        raise DifflabError(str(error)) from error
    for stage in order:
        if not stale.isdisjoint(needs[stage]):
            stale.add(stage)
    return {stage: [n for n in needs[stage] if n in stale] for stage in order if stage in stale}


@contextlib.contextmanager
def _parameters_parsed_once(values: Mapping[str, Any] | None = None) -> Generator[None]:
    """Let DVC parse a parameter file again only when it has changed, not for each stage: half of its time.

    With `values`, DVC finds these in params.yaml.

    DVC's inside (3.67): `dvc.dependency.param` reads the values of one stage, by their dotted names, through its global
    `read_param_file`, and compares them. What is more than plain names stays DVC's own business.
    """
    from dvc.dependency import param

    original = param.read_param_file
    parsed: dict[tuple[str, int, int], Any] = {}

    def parse(fs: Any, path: str) -> Any:
        if values is not None and Path(path).name == "params.yaml":
            return values
        state = os.stat(path)
        version = path, state.st_mtime_ns, state.st_size
        if version not in parsed:
            parsed[version] = param.load_path(path, fs)
        return parsed[version]

    def read(fs: Any, path: str, key_paths: list[str] | None = None, flatten: bool = False, **options: Any) -> Any:
        if not key_paths or not flatten or options:
            return original(fs, path, key_paths, flatten, **options)
        found = parse(fs, path)
        try:
            return {name: functools.reduce(operator.getitem, name.split("."), found) for name in key_paths}
        except (KeyError, TypeError):  # a name that is absent, or a pattern
            return original(fs, path, key_paths, flatten)

    param.read_param_file = read  # ty: ignore[invalid-assignment]
    try:
        yield
    finally:
        param.read_param_file = original


def _run(stage: str, place: Mapping[str, str], blocked: bool) -> str:
    """Run one stage, with the environment of its place, and pass on what it prints; skip it if it is blocked."""
    if blocked:
        return SKIPPED
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage]
    with subprocess.Popen(
        command, env=os.environ | place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() and not line.startswith(_CHATTER):
                print(line, end="", flush=True)
    return DONE if process.returncode == 0 else FAILED


def summary(outcomes: Mapping[str, str], seconds: float) -> str:
    """How many stages ran in which time, and which failed or were not started; then where the report is."""
    counts = []
    for outcome in (DONE, FAILED, SKIPPED):
        names = [stage for stage, of in outcomes.items() if of == outcome]
        if names:
            counts.append(f"{len(names)} {outcome}" + ("" if outcome == DONE else f" ({', '.join(names)})"))
    line = f"Stages: {', '.join(counts)}, in {seconds / 60:.1f} minutes." if counts else "Everything is up to date."
    complete = all(outcome == DONE for outcome in outcomes.values())
    return f"{line}\nThe report: {REPORT}" if complete and REPORT.exists() else line

"""The stages that are out of date, as DVC finds them."""

import contextlib
import functools
import operator
import os
from collections.abc import Collection, Generator, Mapping
from pathlib import Path
from typing import Any

from difflab.cli.results import lock_stages
from difflab.core.base.errors import DifflabError, suggestion
from difflab.core.params.loading import FILE, addresses, read_values

CHECK = "check_params"  # comes before every other stage, and makes none run again: what it writes is always the same


def changed(targets: Collection[str], values: Mapping[str, Any] | None = None) -> dict[str, list[str]]:
    """The stages that are out of date or depend on one that is, in order, and which of these each waits for.

    `values` are parameters to ask about, in place of those of params.yaml.
    """
    names = addresses(str(Path("dvc.yaml").resolve()), values)
    known = sorted({*names, *(name.split("@")[0] for name in names)})
    if wrong := [target for target in targets if target not in known and ":" not in target]:
        near = suggestion(wrong[0], known) or "; `dvc stage list` names them"
        raise DifflabError(f"dvc.yaml has no stage '{wrong[0]}'{near}")
    _check_files_of_dvc()
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
            whole = {
                s.addressing for s in wanted if any(d.def_path == FILE for d in s.deps if not hasattr(d, "params"))
            }
            stale = set(repository.status(targets=list(targets) or None, with_deps=True))
    except DvcException as error:
        raise DifflabError(str(error)) from error
    if values is not None and values != read_values():
        stale |= whole
    for stage in order:
        if not (stale - {CHECK}).isdisjoint(needs[stage]):
            stale.add(stage)
    return {stage: [n for n in needs[stage] if n in stale] for stage in order if stage in stale}


def _check_files_of_dvc() -> None:
    """Refuse a damaged dvc.lock with its remedy, and put away the empty list of locks that a full disk leaves."""
    lock, locks = Path("dvc.lock"), Path(".dvc/tmp/rwlock")
    if lock.is_dir() or (lock.exists() and not lock.stat().st_size):
        raise DifflabError(
            f"dvc.lock is {'a folder' if lock.is_dir() else 'empty'}: `git restore dvc.lock` brings it back"
        )
    if lock.exists():
        lock_stages(lock.read_bytes(), "dvc.lock")
    if locks.is_file() and not locks.stat().st_size:
        locks.unlink()


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
        if values is not None and Path(path).name == FILE:
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

"""DVC experiments as a short table: what each changed, and which scores moved."""

from collections.abc import Mapping
from typing import Any

from difflab.cli.compare import Result, headline_names, read
from difflab.cli.revisions import experiments, parent, resolve
from difflab.core.base.errors import DifflabError
from difflab.report.tables import table

MOVED = 3  # scores shown of each experiment


def experiments_table(all_commits: bool) -> str:
    """The experiments that started from this commit (or from any), the newest first, as Markdown."""
    here = resolve("HEAD")
    rows = []
    for name, commit in reversed(experiments().items()):
        base = parent(commit)
        if all_commits or base == here:
            rows.append([name, base[:7], *_told(name, base)])
    if not rows:
        where = "" if all_commits else " of this commit (`--all` lists those of every commit)"
        return f"no experiments{where}: `dvc exp run -n NAME -S key=value` makes one"
    return table(["experiment", "from", "changed", "moved"], rows)


def _told(name: str, base: str) -> tuple[str, str]:
    """The parameters that the experiment set, and the scores that moved most."""
    try:
        before, after = read(base), read(name)
    except DifflabError as error:
        return "–", f"no results ({error})"
    return _changed(before.params, after.params), _moved(before, after)


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return ", ".join(f"{key}={after.get(key)}" for key in keys) or "nothing (code or data)"


def _moved(before: Result, after: Result) -> str:
    pairs = [
        (name, before.summary[name], after.summary[name])
        for name, _ in headline_names([before, after])
        if _number(before, name) and _number(after, name) and before.summary[name] != after.summary[name]
    ]
    pairs.sort(key=lambda pair: -abs(pair[2] - pair[1]) / (abs(pair[1]) + 1e-12))
    told = [f"{name} {old:.4g} -> {new:.4g}" for name, old, new in pairs[:MOVED]]
    more = f", {len(pairs) - MOVED} more" if len(pairs) > MOVED else ""
    return ", ".join(told) + more or "nothing"


def _number(result: Result, name: str) -> bool:
    return isinstance(result.summary.get(name), int | float)

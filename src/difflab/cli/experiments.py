"""The table of DVC experiments: what each changed, and which scores moved."""

from difflab.cli.headlines import headline_names
from difflab.cli.results import Result, read
from difflab.cli.revisions import experiments, git
from difflab.core.base.errors import DifflabError
from difflab.report.tables import table

MOVED = 3  # scores shown of each experiment
MACHINE = (
    *("runtime.num_threads", "runtime.processes", "runtime.device", "runtime.compile", "runtime.numerics"),
    "tracking.enabled",
)
"""Parameters that say where and how a study is computed, and not what: a run with others is a repetition of it."""


def experiments_table(all_commits: bool) -> str:
    """The DVC experiments that started from this commit (or from any), the newest first, as Markdown."""
    here, rows = git("rev-parse", "HEAD"), []
    for name, commit in reversed(experiments().items()):
        base = git("rev-parse", f"{commit}^")
        if not all_commits and base != here:
            continue
        try:
            before, after = read(base), read(name)
            changed = ", ".join(f"{key}={after.params.get(key)}" for key in changed_params(before, after))
            rows.append([name, base[:7], changed or "nothing (code or data)", _moved(before, after)])
        except DifflabError as error:
            rows.append([name, base[:7], "–", f"no results ({error})"])
    if not rows:
        where = "" if all_commits else " of this commit (`--all` lists those of every commit)"
        return f"no experiments{where}: `dvc exp run -n NAME -S key=value` makes one"
    return table(["experiment", "from", "changed", "moved"], rows)


def changed_params(before: Result, after: Result) -> list[str]:
    """The parameters that differ, by their dotted names."""
    return [k for k in {**before.params, **after.params} if before.params.get(k) != after.params.get(k)]


def deciding_params(before: Result, after: Result) -> list[str]:
    """Those of the changed parameters that make another study: all but those of the machine."""
    return [name for name in changed_params(before, after) if name not in MACHINE]


def _moved(before: Result, after: Result) -> str:
    """The scores that differ most."""
    names = [h.name for h in headline_names(before.summary) if h.name in after.summary]
    values = {name: (before.summary[name], after.summary[name]) for name in names}
    values = {name: (old, new) for name, (old, new) in values.items() if old != new}
    names = sorted(values, key=lambda name: -abs(values[name][1] - values[name][0]) / (abs(values[name][0]) + 1e-12))
    told = [f"{name} {values[name][0]:.4g} -> {values[name][1]:.4g}" for name in names[:MOVED]]
    more = f", {len(names) - MOVED} more" if len(names) > MOVED else ""
    return ", ".join(told) + more or "nothing"

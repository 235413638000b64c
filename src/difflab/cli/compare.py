"""The results of several revisions side by side, and which differences exceed the spread between seeds."""

import json
import re
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from difflab.cli.revisions import experiments, git, read_files
from difflab.core.base.errors import DifflabError
from difflab.core.params.loading import dotted, parse_yaml
from difflab.metrics.paired import clear_difference
from difflab.report.summary import PREFIXES, metrics_file, prefixed
from difflab.report.tables import table
from difflab.sd3.cells import ADAPTERS, CAPTIONS

SUMMARY = "metrics/summary.json"
SEEDS = ("seed", "finetune.seed")  # parameters that make a repetition, not another experiment
SCORES = {"fid": 1.0, "digit_accuracy": 100.0, "photo_accuracy": 100.0}  # and the factor to show them with
# Of the denoisers and the DDPM series, what is a score of ours: the rest is beside it for comparison.
OTHERS = re.compile(
    r"(denoising_v\w+_psnr|ddpm_(?!\w*(floor|real))\w+_(best_psnr|fid|kid|accuracy)|cold_\w+_(restored|walked_back)_psnr"
    r"|captioning_(original|mixed|synthetic|instruct)_(bleu_1|cider_d|both_\w+))"
)
MOVED = 3  # scores shown of each experiment


@dataclass(frozen=True)
class Result:
    """What one revision holds: parameters by dotted names, and the numbers of metrics/summary.json.

    `older` are parameters that some stage ran with and that have another value now.
    """

    name: str
    params: Mapping[str, Any]
    summary: Mapping[str, float]
    older: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seeds(self) -> list[Any]:
        return [self.params.get(name) for name in SEEDS]


@dataclass(frozen=True)
class Score:
    """A mean with its standard deviation, over `count` runs."""

    mean: float
    std: float
    count: int


def read(rev: str) -> Result:
    """The result of a Git revision or DVC experiment; `workspace` is the working tree.

    The stages' own metrics are read beside the summary: they may be newer than the summary, which the report writes.

    Raises:
        DifflabError: there is no such revision, or it holds no results.
    """
    newer = {metrics_file(stage): stage for stage in PREFIXES}
    texts = read_files(rev, ["params.yaml", "dvc.lock", SUMMARY, *newer])
    if SUMMARY not in texts:
        raise DifflabError(f"'{rev}' has no {SUMMARY}: run `dvc repro report` there")

    def numbers(path: str) -> dict[str, Any]:
        try:
            return json.loads(texts[path])
        except json.JSONDecodeError as error:
            raise DifflabError(f"{path} of '{rev}' is damaged ({error}): run `dvc repro -f report`") from None

    def mapping(path: str) -> dict[str, Any]:
        return parse_yaml(texts.get(path, b"").decode(), f"{path} of '{rev}'") or {}

    params, summary = dotted(mapping("params.yaml")), numbers(SUMMARY)
    for path in newer.keys() & texts.keys():
        summary |= prefixed(newer[path], numbers(path))
    return Result(rev, params, summary, older(params, mapping("dvc.lock")))


def older(params: Mapping[str, Any], lock: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters, dotted, that a stage of dvc.lock ran with and that `params` give another value."""
    ran = [stage.get("params", {}).get("params.yaml", {}) for stage in lock.get("stages", {}).values()]
    return {k: v for group in ran for k, v in dotted(group).items() if params.get(k) != v}


def group(results: Iterable[Result]) -> list[list[Result]]:
    """Results whose parameters differ in seeds, and in nothing else, together, in the order given."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        key = repr(sorted((k, v) for k, v in result.params.items() if k not in SEEDS))
        while any(result.seeds == other.seeds for other in groups.get(key, [])):
            key += "again"  # the same seeds are no repetition
        groups.setdefault(key, []).append(result)
    return list(groups.values())


def score(results: list[Result], name: str) -> Score | None:
    """A number over repetitions; of a single run over its generation seeds. None where a run lacks it."""
    values = [r.summary[name] for r in results if isinstance(r.summary.get(name), int | float)]
    if len(values) < len(results):
        return None
    if len(values) > 1:
        return Score(statistics.fmean(values), statistics.stdev(values), len(values))
    std = results[0].summary.get(f"{name}_std")
    return Score(values[0], std or 0.0, 1 if std is None else int(results[0].summary.get("sd3_seeds", 1)))


def verdict(before: Score, after: Score) -> str:
    """`clear` where a difference exceeds its 95 % interval, else `within seeds`; `one seed`: unknown."""
    if after == before:
        return "the same"
    if min(before.count, after.count) < 2:
        return "one seed"
    needed = clear_difference(before.std, before.count, after.std, after.count)
    return "clear" if abs(after.mean - before.mean) > needed else "within seeds"


def compare(results: list[Result]) -> str:
    """The comparison as Markdown: what the revisions change, and their scores beside the first group's."""
    groups = group(results)
    names = [", ".join(r.name for r in members) for members in groups]
    header = ["score", names[0], *(n for name in names[1:] for n in (name, "difference"))]
    rows = [row for name in headline_names(results) if (row := _row(groups, *name))]
    over = "training seeds"
    if any(len(members) == 1 for members in groups):
        over += " where several are given, else over generation seeds, which says less"
    note = (
        f"Mean ± standard deviation of the sample over {over}. Accuracies in percent. "
        "A difference is clear beyond its 95 % interval (Welch's t)."
    )
    parts = [_changes(groups, names), "\n".join(_warnings(results)), table(header, rows), note]
    return "\n\n".join(filter(None, parts))


def headline_names(results: list[Result]) -> Iterator[tuple[str, float]]:
    """The scores that are compared, each with the factor that it is shown with."""
    for kind, factor in SCORES.items():
        yield from ((f"sd3_{adapter}_{captions}_{kind}", factor) for adapter in ADAPTERS for captions in CAPTIONS)
    others = dict.fromkeys(name for result in results for name in result.summary if OTHERS.fullmatch(name))
    yield from ((name, 100.0 if name.endswith("accuracy") else 1.0) for name in others)


def _row(groups: list[list[Result]], name: str, factor: float) -> list[str] | None:
    def shown(value: Score | None) -> str:
        if value is None:
            return "–"
        return f"{value.mean * factor:.4g}" + (f" ± {value.std * factor:.2g}" if value.count > 1 else "")

    first, *others = (score(members, name) for members in groups)
    if not any([first, *others]):
        return None
    row = [name, shown(first)]
    for other in others:
        difference = f"{(other.mean - first.mean) * factor:+.3g}, {verdict(first, other)}" if first and other else ""
        row += [shown(other), difference]
    return row


def _changed(before: Result, after: Result) -> list[str]:
    """The parameters that differ."""
    return [k for k in {**before.params, **after.params} if before.params.get(k) != after.params.get(k)]


def _changes(groups: list[list[Result]], names: list[str]) -> str:
    """The parameters in which the groups differ."""
    first, lines = groups[0][0], []
    for (other, *_), name in zip(groups[1:], names[1:], strict=True):
        changed = (
            f"{k} {first.params.get(k)} -> {other.params.get(k)}" for k in _changed(first, other) if k not in SEEDS
        )
        lines.append(f"{name}: {', '.join(changed) or 'the same parameters'}")
    return "\n".join(lines)


def _warnings(results: list[Result]) -> Iterator[str]:
    """Stages that ran with other parameters, and summaries that hardly share a name, since metrics were renamed."""
    first = results[0]
    for result in results:
        if result.older:
            values = ", ".join(f"{name} {value}" for name, value in result.older.items())
            ran = f"not all stages ran with its parameters (some with {values})"
            yield f"{result.name}: {ran}: run `dvc repro` on it"
        shared = len(first.summary.keys() & result.summary.keys())
        if shared < min(len(first.summary), len(result.summary)) / 2:
            renamed = f"the names of the metrics changed between {first.name} and {result.name}"
            yield f"{renamed}: only the {shared} that both have are compared"


def experiments_table(all_commits: bool) -> str:
    """The DVC experiments that started from this commit (or from any), the newest first, as Markdown."""
    here, rows = git("rev-parse", "HEAD"), []
    for name, commit in reversed(experiments().items()):
        base = git("rev-parse", f"{commit}^")
        if not all_commits and base != here:
            continue
        try:
            before, after = read(base), read(name)
            changed = ", ".join(f"{key}={after.params.get(key)}" for key in _changed(before, after))
            rows.append([name, base[:7], changed or "nothing (code or data)", _moved(before, after)])
        except DifflabError as error:
            rows.append([name, base[:7], "–", f"no results ({error})"])
    if not rows:
        where = "" if all_commits else " of this commit (`--all` lists those of every commit)"
        return f"no experiments{where}: `dvc exp run -n NAME -S key=value` makes one"
    return table(["experiment", "from", "changed", "moved"], rows)


def _moved(before: Result, after: Result) -> str:
    """The scores that differ most."""
    pairs = {name: (score([before], name), score([after], name)) for name, _ in headline_names([before, after])}
    values = {name: (old.mean, new.mean) for name, (old, new) in pairs.items() if old and new and old.mean != new.mean}
    names = sorted(values, key=lambda name: -abs(values[name][1] - values[name][0]) / (abs(values[name][0]) + 1e-12))
    told = [f"{name} {values[name][0]:.4g} -> {values[name][1]:.4g}" for name in names[:MOVED]]
    more = f", {len(names) - MOVED} more" if len(names) > MOVED else ""
    return ", ".join(told) + more or "nothing"

"""The results of several revisions side by side, and which differences exceed the spread between seeds."""

import json
import re
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from difflab.cli.revisions import read_files
from difflab.core.base.errors import DifflabError
from difflab.core.params.loading import dotted
from difflab.core.params.yaml_text import parse_yaml
from difflab.metrics.spread import clear_difference
from difflab.report.tables import table
from difflab.report.summary import PREFIXES, metrics_file, prefixed
from difflab.sd3.cells import ADAPTERS, CAPTIONS

SUMMARY = "metrics/summary.json"
SEEDS = ("seed", "finetune.seed")  # parameters that make a repetition, not another experiment
SCORES = {"fid": 1.0, "digit_accuracy": 100.0, "photo_accuracy": 100.0}  # and the factor to show them with
# Of the denoisers and the DDPM series, what is a score of ours: the rest is beside it for comparison.
OTHERS = re.compile(
    r"(denoising_v\w+_psnr|ddpm_(?!\w*(floor|real))\w+_(best_psnr|fid|kid|accuracy)|cold_\w+_(restored|walked_back)_psnr"
    r"|captioning_(original|mixed|synthetic|instruct)_(bleu_1|cider_d|both_\w+))"
)


@dataclass(frozen=True)
class Result:
    """What one revision holds.

    Attributes:
        name: of the revision.
        params: its parameters, dotted.
        summary: the numbers of metrics/summary.json.
        older: parameters that some stage ran with and that have another value now.
    """

    name: str
    params: Mapping[str, Any]
    summary: Mapping[str, float]
    older: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """A mean with its standard deviation, over `count` runs."""

    mean: float
    std: float
    count: int


def read(rev: str) -> Result:
    """The result of a Git revision or DVC experiment; `workspace` is what lies here.

    The stages' own metrics are read beside the summary: they may be newer than the summary, which the report writes.

    Raises:
        DifflabError: there is no such revision, or it holds no results.
    """
    newer = {metrics_file(stage): stage for stage in PREFIXES}
    texts = read_files(rev, ["params.yaml", "dvc.lock", SUMMARY, *newer])
    if SUMMARY not in texts:
        raise DifflabError(f"'{rev}' has no {SUMMARY}: run `dvc repro report` there")
    params = dotted(_mapping(texts, "params.yaml", rev))
    summary = _json(texts[SUMMARY], SUMMARY, rev)
    for path in newer.keys() & texts.keys():
        summary |= prefixed(newer[path], _json(texts[path], path, rev))
    lock = _mapping(texts, "dvc.lock", rev)
    return Result(rev, params, summary, older(params, lock))


def _json(text: str, path: str, rev: str) -> dict[str, Any]:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DifflabError(f"{path} of '{rev}' is damaged ({error}): run `dvc repro -f report`") from None


def _mapping(texts: Mapping[str, str], path: str, rev: str) -> dict[str, Any]:
    return parse_yaml(texts.get(path, ""), f"{path} of '{rev}'") or {}


def older(params: Mapping[str, Any], lock: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters, dotted, that a stage of dvc.lock ran with and that `params` give another value."""
    ran = [stage.get("params", {}).get("params.yaml", {}) for stage in lock.get("stages", {}).values()]
    return {k: v for group in ran for k, v in dotted(group).items() if params.get(k) != v}


def group(results: Iterable[Result]) -> list[list[Result]]:
    """Results whose parameters differ in seeds, and in nothing else, together, in the order given."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        settings = {k: v for k, v in result.params.items() if k not in SEEDS}
        seeds = [result.params.get(name) for name in SEEDS]
        key = repr(sorted(settings.items()))
        while any(seeds == [other.params.get(name) for name in SEEDS] for other in groups.get(key, [])):
            key += "again"  # the same seeds are no repetition
        groups.setdefault(key, []).append(result)
    return list(groups.values())


def score(results: list[Result], name: str) -> Score | None:
    """A number of metrics/summary.json over repetitions; of a single one, over its generation seeds.

    Returns None where a result lacks it.
    """
    values = [r.summary[name] for r in results if isinstance(r.summary.get(name), int | float)]
    if len(values) < len(results):
        return None
    if len(values) > 1:
        return Score(statistics.fmean(values), statistics.stdev(values), len(values))
    std = results[0].summary.get(f"{name}_std")
    if std is None:
        return Score(values[0], 0.0, 1)
    return Score(values[0], std, int(results[0].summary.get("sd3_seeds", 1)))


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
    old = "\n".join(filter(None, map(_warning, results)))
    parts = [_changes(groups, names), old, _renamed(results), table(header, rows), _note(groups)]
    return "\n\n".join(filter(None, parts))


def headline_names(results: list[Result]) -> Iterable[tuple[str, float]]:
    """The scores that are compared, each with the factor that it is shown with."""
    for kind, factor in SCORES.items():
        yield from ((f"sd3_{adapter}_{captions}_{kind}", factor) for adapter in ADAPTERS for captions in CAPTIONS)
    others = dict.fromkeys(name for result in results for name in result.summary if OTHERS.fullmatch(name))
    yield from ((name, 100.0 if name.endswith("accuracy") else 1.0) for name in others)


def _row(groups: list[list[Result]], name: str, factor: float) -> list[str] | None:
    found = [score(members, name) for members in groups]
    if not any(found):
        return None
    row = [name, _shown(found[0], factor)]
    for other in found[1:]:
        row += [_shown(other, factor), ""]
        if found[0] and other:
            row[-1] = f"{(other.mean - found[0].mean) * factor:+.3g}, {verdict(found[0], other)}"
    return row


def _shown(value: Score | None, factor: float) -> str:
    if value is None:
        return "–"
    spread = f" ± {value.std * factor:.2g}" if value.count > 1 else ""
    return f"{value.mean * factor:.4g}{spread}"


def _changes(groups: list[list[Result]], names: list[str]) -> str:
    """The parameters in which the groups differ."""
    first = groups[0][0].params
    lines = []
    for members, name in zip(groups[1:], names[1:], strict=True):
        other = members[0].params
        keys = [k for k in {**first, **other} if first.get(k) != other.get(k) and k not in SEEDS]
        changed = ", ".join(f"{k} {first.get(k)} -> {other.get(k)}" for k in keys) or "the same parameters"
        lines.append(f"{name}: {changed}")
    return "\n".join(lines)


def _warning(result: Result) -> str:
    if not result.older:
        return ""
    values = ", ".join(f"{name} {value}" for name, value in result.older.items())
    return f"{result.name}: not all stages ran with its parameters (some with {values}): run `dvc repro` on it"


def _renamed(results: list[Result]) -> str:
    """A line where two summaries have hardly a name in common: the names of the metrics changed between them."""
    first = results[0]
    for other in results[1:]:
        shared = first.summary.keys() & other.summary.keys()
        if len(shared) < min(len(first.summary), len(other.summary)) / 2:
            return (
                f"the names of the metrics changed between {first.name} and {other.name}: only the "
                f"{len(shared)} that both have are compared"
            )
    return ""


def _note(groups: list[list[Result]]) -> str:
    if all(len(members) > 1 for members in groups):
        over = "training seeds"
    else:
        over = "training seeds where several are given, else over generation seeds, which says less"
    return (
        f"Mean ± standard deviation of the sample over {over}. Accuracies in percent. "
        "A difference is clear beyond its 95 % interval (Welch's t)."
    )

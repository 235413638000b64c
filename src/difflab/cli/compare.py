"""The results of several revisions side by side, and which differences exceed what training again explains."""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from difflab.cli.experiments import changed_params, deciding_params
from difflab.cli.headlines import Headline, headline_names, interval
from difflab.cli.repetitions import prediction
from difflab.metrics.uncertainty.intervals import Interval, Spread, apart, mean_interval, pooled_spread, scale_of
from difflab.report.tables import plus_minus, table

if TYPE_CHECKING:
    from difflab.cli.results import Result

SEEDS = (
    "seed", "finetune.seeds", "ddpm.seeds", "ddpm.common.seeds", "denoise.seeds", "cold.seeds", "captioner.seeds",
    "captioner.subset_seeds", "blocks.seeds", "personal.seeds", "finetune.seed", "ddpm.common.seed", "denoise.seed",
)  # fmt: skip
"""Parameters that make a repetition, not another experiment."""
Spreads = Mapping[tuple[str, str], Spread]
NO_INTERVAL, OTHER_RULER, OTHER_BASE = "no interval", "another ruler", "another base"


@dataclass(frozen=True)
class Score:
    """A mean with its 95 % interval; None where nothing is known of it."""

    mean: float
    interval: Interval | None


def group(results: Iterable["Result"]) -> list[list["Result"]]:
    """Results whose parameters differ in seeds, and in nothing else, together, in the order given."""
    groups: list[list[Result]] = []
    for result in results:
        own = next((members for members in groups if all(_repeats(member, result) for member in members)), None)
        if own is None:
            groups.append(own := [])
        own.append(result)
    return groups


def _repeats(a: "Result", b: "Result") -> bool:
    """Whether two results are independent repetitions: as many seeds on both sides, and none of them on both."""
    changed = deciding_params(a, b)
    if not changed or not set(changed) <= set(SEEDS):
        return False
    pairs = [(_seeds(a.params.get(name)), _seeds(b.params.get(name))) for name in changed]
    return all(len(ours) == len(theirs) and ours.isdisjoint(theirs) for ours, theirs in pairs)


def _seeds(value: Any) -> set[Any]:
    return set(value) if isinstance(value, list) else {value}


def score(members: Sequence["Result"], headline: Headline) -> Score | None:
    """A number with its interval, over repetitions if there are several; None where one of them lacks it."""
    values = _values(members, headline.name)
    if len(values) < len(members):
        return None
    if len(values) > 1 and len(set(values)) > 1:
        mean, spread = statistics.fmean(values), _spread(members, headline)
        return Score(mean, mean_interval(mean, len(values), spread))
    return Score(values[0], interval(members[0].summary, headline))


def _values(members: Sequence["Result"], name: str) -> list[float]:
    """A number of those that have it."""
    found = (member.summary.get(name) for member in members)
    return [value for value in found if isinstance(value, int | float)]


def _spread(members: Sequence["Result"], headline: Headline) -> Spread:
    """The spread between repetitions, pooled over the cells of a measure that all of them have."""
    cells = {}
    for other in headline_names(members[0].summary):
        values = _values(members, other.name)
        if (other.study, other.measure) == (headline.study, headline.measure) and len(values) == len(members):
            cells[other.name] = values
    return pooled_spread(cells, scale_of(headline.measure, map(statistics.fmean, cells.values())))


@dataclass(frozen=True)
class Difference:
    """What one group has of a number beside another.

    Attributes:
        half: how large it may be by training alone, on its side.
        says: a verdict, or why there is none.
    """

    value: float
    half: float | None
    says: str

    def shown(self, scale: float) -> str:
        around = "" if self.half is None else f" ± {self.half * scale:.2g}"
        return f"{self.value * scale:+.3g}{around}, {self.says}"


def difference(
    first: Sequence["Result"], other: Sequence["Result"], headline: Headline, spreads: Spreads
) -> Difference | None:
    """How a number differs, and whether that is more than training again explains; None where one side lacks it."""
    before, after = score(first, headline), score(other, headline)
    if before is None or after is None:
        return None
    value = after.mean - before.mean
    if first[0].ruler(headline) != other[0].ruler(headline):
        return Difference(value, None, OTHER_RULER)
    if is_repetition(first[0], other[0]):
        half = _side(value, before.mean, prediction(first[0].summary, headline, spreads))
        return Difference(value, half, NO_INTERVAL if half is None else "inside" if abs(value) <= half else "outside")
    half = None
    if before.interval and after.interval:
        low, high = apart(after.mean, after.interval, before.mean, before.interval)
        half = value - low if value > 0 else high - value
    if not _same_models(first[0], other[0]):  # their spread counts too
        if (headline.study, headline.measure) in spreads:
            again = _side(value, before.mean, prediction(first[0].summary, headline, spreads))
            half = max(half or 0.0, again or 0.0)
        elif headline.given:
            return Difference(value, None, OTHER_BASE)
    says = NO_INTERVAL if half is None else "clear" if abs(value) > half else "not clear"
    return Difference(value, half, says)


def _side(value: float, mean: float, ends: Interval | None) -> float | None:
    """How far an interval around a mean reaches on the side of a difference."""
    return None if ends is None else ends[1] - mean if value > 0 else mean - ends[0]


def is_repetition(a: "Result", b: "Result") -> bool:
    """Whether two results have the same parameters: the same study on another machine, or of another code."""
    return not deciding_params(a, b)


def _same_models(a: "Result", b: "Result") -> bool:
    """Whether the small models that all trainings share are the same bytes."""
    return a.hashes("outs", stage="zoo_") == b.hashes("outs", stage="zoo_")


def compare(results: list["Result"], spreads: Spreads) -> str:
    """The comparison as Markdown: what the revisions change, and the scores that moved beside the first group's.

    Args:
        spreads: between runs of the whole study (`cli.repetitions.between`), by study and measure.
    """
    groups = group(results)
    names = [", ".join(r.name for r in members) for members in groups]
    header = ["score", names[0], *(n for name in names[1:] for n in (name, "difference"))]
    headlines = list(headline_names(name for result in results for name in result.summary))
    rows = {h: row for h in headlines if (row := _row(groups, h, spreads))}
    lines = [*_changes(groups, names, spreads), *_warnings(results)]
    if len(groups) == 1:
        rows = {h: [h.name, _shown(groups[0], h)] for h in headlines if score(groups[0], h)}
    else:
        lines.append(_unchanged(groups, [h for h in headlines if h not in rows]))
    parts = ["\n".join(filter(None, lines)), table(header, rows.values()) if rows else "", _note(groups, rows)]
    return "\n\n".join(filter(None, parts))


def _row(groups: list[list["Result"]], headline: Headline, spreads: Spreads) -> list[str] | None:
    """A number of every group; None where all that have it agree."""
    first, moved = score(groups[0], headline), False
    row = [headline.name, _shown(groups[0], headline)]
    for other in groups[1:]:
        found = difference(groups[0], other, headline, spreads)
        told = "" if found is None else found.shown(headline.scale)
        if found is not None and not found.value:
            told = "the same" if _ran(groups[0], other, headline) else "not run"
        lacks = (first is None) != (score(other, headline) is None)
        moved |= lacks or bool(found and found.value)
        row += [_shown(other, headline), told]
    return row if moved else None


def _shown(members: Sequence["Result"], headline: Headline) -> str:
    """A number with its interval and, of a single revision, the verdict that its stage gave."""
    value = score(members, headline)
    if value is None:
        return "–"
    said = members[0].summary.get(f"{headline.name.removesuffix('_difference')}_verdict") if len(members) == 1 else None
    ends = value.interval and (value.interval[0] * headline.scale, value.interval[1] * headline.scale)
    return plus_minus(value.mean * headline.scale, ends) + (f" ({said})" if said else "")


def _ran(first: Sequence["Result"], other: Sequence["Result"], headline: Headline) -> bool:
    """Whether the stage of a number ran in between: its entry in dvc.lock differs, or there is none."""
    entries = [result.lock.get(headline.stage) for result in (first[0], *other)]
    return entries[0] is None or any(entry != entries[0] for entry in entries)


def _unchanged(groups: list[list["Result"]], headlines: Sequence[Headline]) -> str:
    """How many numbers are the same, and of how many the stage did not run or gave the same bytes."""
    if not headlines:
        return ""
    idle = [h for h in headlines if not any(_ran(groups[0], other, h) for other in groups[1:])]
    stages = ", ".join(dict.fromkeys(h.stage for h in idle))
    many = "all" if len(idle) == len(headlines) else f"{len(idle)} of them"
    why = f", {many} of stages that did not run, or gave the same bytes ({stages})" if idle else ""
    return f"{len(headlines)} scores did not change{why}."


def _note(groups: list[list["Result"]], rows: Mapping[Headline, object]) -> str:
    """What the values are, and what their intervals contain."""
    if not rows:
        return ""
    lines = ["Mean ± half of its 95 % interval, which contains training and generation. Shares in percent."]
    if any(len(members) > 1 for members in groups):
        lines.append("Of revisions taken together the spread is that between them, pooled over the cells of a measure.")
    if len(groups) > 1:
        lines.append("A difference is clear beyond ±, the two intervals together.")
    if any(not _known(groups, headline) for headline in rows):
        lines.append("No interval: one training, or a commit that did not say how far trainings differ.")
    if any(headline.given for headline in rows):
        lines.append("Pretrained models and bases are given: their intervals are of generation alone.")
    return " ".join(lines)


def _known(groups: list[list["Result"]], headline: Headline) -> bool:
    """Whether every group that has a number has its interval."""
    return all(found.interval is not None for found in (score(members, headline) for members in groups) if found)


def _changes(groups: list[list["Result"]], names: list[str], spreads: Spreads) -> Iterator[str]:
    """What sets each group apart from the first."""
    first = groups[0][0]
    for (other, *more), name in zip(groups[1:], names[1:], strict=True):
        values = [f"{k} {first.params.get(k)} -> {other.params.get(k)}" for k in changed_params(first, other)]
        if more:
            values = [value for value in values if value.split()[0] not in SEEDS]
        if values and not is_repetition(first, other):
            yield f"{name}: {', '.join(values)}"
        elif not is_repetition(first, other):
            yield f"{name}: the same but for the seeds, of which some stand on both sides"
        else:
            code = [result.hashes("deps", "src/|stages/") for result in (first, other)]
            what = "parameters and code" if code[0] == code[1] else "parameters, other code"
            known = "" if spreads else ", which know the spread of training alone (`difflab reproduced --help`)"
            what += "".join(f" ({value})" for value in values)
            yield f"{name}: the same {what}: a repetition, held against prediction intervals{known}"
        if any(h.given for h in headline_names(first.summary)) and not spreads and not _same_models(first, other):
            yield f"{name}: the small models that all share were trained again, and no interval knows their spread"


def _warnings(results: list["Result"]) -> Iterator[str]:
    """Stages that ran with other parameters, other rulers, and summaries that hardly share a name."""
    first = results[0]
    for result in results:
        if result.older:
            values = ", ".join(f"{name} {value}" for name, value in list(result.older.items())[:3])
            values += ", ..." if len(result.older) > 3 else ""
            ran = f"not all stages ran with its parameters (some with {values})"
            yield f"{result.name}: {ran}: run `dvc repro` on it"
        both = [h for h in headline_names(first.summary) if h.name in result.summary]
        if odd := [h for h in both if first.ruler(h) != result.ruler(h)]:
            studies = ", ".join(dict.fromkeys(h.study for h in odd))
            yield f"{result.name}: another network took {len(odd)} scores ({studies}) than in {first.name}: no verdict"
        shared = len(first.summary.keys() & result.summary.keys())
        if shared < min(len(first.summary), len(result.summary)) / 2:
            renamed = f"the names of the metrics changed between {first.name} and {result.name}"
            yield f"{renamed}: only the {shared} that both have are compared"

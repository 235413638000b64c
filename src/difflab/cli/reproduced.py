"""Did the study reproduce here? Committed results against those of the working tree, number by number."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from difflab.cli.experiments import changed_params, deciding_params
from difflab.cli.headlines import Headline, headline_names
from difflab.cli.repetitions import REPETITIONS, between, check_free, parse, prediction, record
from difflab.cli.results import Result, read
from difflab.cli.revisions import WORKSPACE, git, read_files
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import decoded
from difflab.core.environment import processor
from difflab.report import claims
from difflab.report.tables import table

if TYPE_CHECKING:
    from difflab.metrics.uncertainty.intervals import Interval, Spread

IN_GIT = ("metrics", "plots", "reports")
MISSES, RARE = 0.05, 0.01
"""How often a 95 % interval misses, and how rare as many misses must be before they are more than chance."""
KEEP = (
    "Keep these results: git commit -am 'Results of this machine'. Put them aside: git stash (git stash pop brings them "
    "back; run nothing in between, DVC would train anew)."
)


@dataclass(frozen=True)
class Number:
    """A committed headline number with its prediction interval (None: unknown), and its value here."""

    headline: Headline
    committed: float
    interval: "Interval | None"
    here: float
    other_ruler: bool

    @property
    def judged(self) -> bool:
        return self.interval is not None and not self.other_ruler

    @property
    def inside(self) -> bool:
        return self.interval is not None and self.interval[0] <= self.here <= self.interval[1]


def known_spreads(rev: str = WORKSPACE) -> dict[tuple[str, str], "Spread"]:
    """The spreads between runs of the whole study that a revision's metrics/repetitions.csv tells; empty without one."""
    found = read_files(rev, [REPETITIONS])
    return between(parse(decoded(found[REPETITIONS], REPETITIONS))) if found else {}


def reproduced(rev: str = "HEAD", name: str | None = None) -> tuple[str, bool]:
    """The reproduction report as Markdown, whose last line is the verdict, and whether the study reproduced.

    Args:
        rev: the results to reproduce.
        name: add those of the working tree to metrics/repetitions.csv, and to claims.yaml what they say, under this name.

    Raises:
        DifflabError: there are no results on either side, their parameters differ, or the name is taken.
    """
    if name is not None and not re.fullmatch(r"[A-Za-z][\w .-]*", name):
        raise DifflabError(
            f"'{name}' cannot name a repetition: begin with a letter, then letters, digits, blanks, . _ or -"
        )
    committed, here = read(rev), read(WORKSPACE)
    if changed := deciding_params(committed, here):
        values = ", ".join(f"{key} {committed.params.get(key)} -> {here.params.get(key)}" for key in changed[:3])
        raise DifflabError(
            f"params.yaml is not that of {rev} ({values}): that is another experiment, which `difflab compare` shows"
        )
    if lost := sorted(committed.lock.keys() - here.lock.keys()):
        raise DifflabError(
            f"dvc.lock lacks {len(lost)} stages of {rev} ({', '.join(lost[:3])}): `git restore dvc.lock` brings it back, "
            "`dvc repro` runs what did not run"
        )
    spreads = known_spreads(rev)
    numbers = _numbers(committed, here, spreads)
    parts = [_bytes(rev, committed, here)]
    for key in changed_params(committed, here):
        parts[0] += f"\nComputed another way: {key} {committed.params.get(key)} -> {here.params.get(key)}."
    if name is not None:
        said, _ = claims.known_findings(claims.read(), here.summary)
        check_free(name)
        claims.record(name, said)  # first: should the other fail, the same command writes both
        count = record(name, committed.summary, here.summary, processor())
        parts[0] += f"\nwrote {count} numbers as the repetition '{name}' to {REPETITIONS}, verdicts to {claims.CLAIMS}"
    parts.append(table(["score", "committed", "prediction interval", "here", ""], map(_row, numbers)))
    if alone := without_repetition(numbers, spreads):
        parts.append(alone)
    if git("status", "--porcelain", "--untracked-files=no", "--", "dvc.lock", *IN_GIT):
        parts.append(KEEP)
    line, holds = verdict(numbers)
    return "\n\n".join([*parts, line]), holds


def _numbers(committed: Result, here: Result, spreads: Mapping[tuple[str, str], "Spread"]) -> list[Number]:
    return [
        Number(
            headline,
            committed.summary[headline.name],
            prediction(committed.summary, headline, spreads),
            here.summary[headline.name],
            committed.ruler(headline) != here.ruler(headline),
        )
        for headline in headline_names(committed.summary)
        if headline.name in here.summary
    ]


def without_repetition(numbers: list[Number], spreads: Mapping[tuple[str, str], "Spread"]) -> str:
    """A line where intervals know less than what whole runs differ by; empty where all know it."""
    if not spreads:
        return "The intervals know the spread of training alone: no repetition of the whole study is recorded."
    heads = [number.headline for number in numbers]
    alone = list(dict.fromkeys(h.study for h in heads if (h.study, h.measure) not in spreads))
    if not alone:
        return ""
    return (
        f"Of {', '.join(alone)} not every measure stands in {REPETITIONS}: the intervals of the others know the spread of "
        "training alone, and are too short for a run whose small models were trained anew."
    )


def verdict(numbers: list[Number]) -> tuple[str, bool]:
    """The last line, and whether no more numbers lie outside than chance explains (`RARE`)."""
    judged = [number for number in numbers if number.judged]
    outside = [number.headline.name for number in judged if not number.inside]
    if not judged:
        return (
            "Not known: no headline number has a prediction interval (one training each, or other networks took them).",
            False,
        )
    line = (
        f"{len(judged) - len(outside)} of {len(judged)} headline numbers lie within the committed prediction intervals"
    )
    if outside:
        line += f"; {len(outside)} {'does' if len(outside) == 1 else 'do'} not: {', '.join(outside)}"
    if left := len(numbers) - len(judged):
        line += f" ({left} without an interval)"
    holds = by_chance(len(outside), len(judged)) >= RARE
    return f"{'Reproduced' if holds else 'Not reproduced'}: {line}.", holds


def by_chance(outside: int, count: int) -> float:
    """How probable it is that of `count` independent 95 % intervals `outside` or more miss."""
    from scipy.special import bdtrc

    return float(bdtrc(outside - 1, count, MISSES)) if outside else 1.0


def _row(number: Number) -> list[str]:
    scale, interval = number.headline.scale, number.interval
    ends = "–" if interval is None else " to ".join(f"{scale * end:.4g}" for end in interval)
    says = "inside" if number.inside else "OUTSIDE"
    says = "another ruler" if number.other_ruler else "" if interval is None else says
    return [number.headline.name, f"{scale * number.committed:.4g}", ends, f"{scale * number.here:.4g}", says]


def _bytes(rev: str, committed: Result, here: Result) -> str:
    """How much has the same bytes: outputs by their hashes in dvc.lock, and result files in Git."""
    before, after = committed.hashes("outs"), here.hashes("outs")
    same = sum(after.get(path) == md5 for path, md5 in before.items())
    files = git("ls-tree", "-r", "--name-only", rev, "--", *IN_GIT).splitlines()
    changed = git("diff", "--name-only", "--relative", rev, "--", *IN_GIT).splitlines()
    kept = len(files) - len(set(files) & set(changed))
    return f"The same bytes as {rev}: {same} of {len(before)} outputs, {kept} of {len(files)} files of results in Git."

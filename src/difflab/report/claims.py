"""claims.yaml: what README and the report claim, each claim computed from the numbers of metrics/summary.json."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from difflab.core.base.errors import DifflabError, suggestion
from difflab.core.base.files import decoded, write_text
from difflab.core.params.loading import parse_yaml
from difflab.metrics.uncertainty.intervals import Interval, apart
from difflab.report.tables import decimals, interval, plus_minus, table

CLAIMS = "claims.yaml"
HOLDS, OPEN, FAILS = "holds", "open", "fails"


@dataclass(frozen=True)
class Claim:
    """A statement on numbers, see claims.yaml: each of `metrics` lies above or below the bounds, or says a word."""

    statement: str
    stage: str
    metrics: Sequence[str]
    verdict: str
    command: str
    above: Any = None
    below: Any = None
    says: str | None = None
    times: float = 1.0
    exact: bool = False
    repeated: Mapping[str, str] = field(default_factory=dict)

    @property
    def bounds(self) -> list[str | float]:
        """What the metrics are held against: names of numbers, and values."""
        bounds = self.below if self.above is None else self.above
        return bounds if isinstance(bounds, list) else [bounds]


@dataclass(frozen=True)
class Finding:
    """What the numbers say of a claim, and the comparison that decides: the one that holds least."""

    claim: Claim
    verdict: str
    evidence: str

    @property
    def as_stated(self) -> bool:
        return self.verdict == self.claim.verdict


def read(path: Path = Path(CLAIMS)) -> list[Claim]:
    """The claims of a file.

    Raises:
        DifflabError: it is missing, or one is not as the file's head says.
    """
    if not path.is_file():
        what = "is a folder: move it away" if path.is_dir() else "is missing"
        raise DifflabError(f"{path} {what}; `git restore {path}` brings it back")
    entries = parse_yaml(decoded(path.read_bytes(), str(path)), str(path))
    if not isinstance(entries, list):
        raise DifflabError(f"{path} is no list of claims: `git diff {path}` shows what changed")
    return [_claim(number, entry, path) for number, entry in enumerate(entries, 1)]


def _claim(position: int, entry: Any, path: Path) -> Claim:
    where = f"{path}, claim {position}"
    missing = dataclasses.MISSING
    known = {f.name: f.default is missing and f.default_factory is missing for f in dataclasses.fields(Claim)}
    if not isinstance(entry, dict) or (
        lacking := [name for name, needed in known.items() if needed and name not in entry]
    ):
        raise DifflabError(f"{where}: it lacks {', '.join(lacking) if isinstance(entry, dict) else 'names'}")
    if odd := sorted(entry.keys() - known):
        raise DifflabError(f"{where}: '{odd[0]}' is no part of a claim{suggestion(odd[0], known)}")
    claim = Claim(**entry)
    if sum(value is not None for value in (claim.above, claim.below, claim.says)) != 1 or not claim.metrics:
        raise DifflabError(f"{where}: give metrics, and one of above, below and says")
    if not isinstance(claim.repeated, dict):
        raise DifflabError(f"{where}: 'repeated' gives no verdict to a name, as {{other-machine: holds}} does")
    for verdict in (claim.verdict, *claim.repeated.values()):
        if verdict not in (HOLDS, OPEN, FAILS):
            raise DifflabError(f"{where}: its verdict is '{verdict}', not {HOLDS}, {OPEN} or {FAILS}")
    return claim


def record(name: str, findings: Sequence[Finding], path: Path = Path(CLAIMS)) -> None:
    """Note in the file what a run of the whole study, called `name`, says of each claim, beside the stated verdicts."""
    found = {finding.claim.statement: finding.verdict for finding in findings}
    noted = [dict(c.repeated) | ({name: found[c.statement]} if c.statement in found else {}) for c in read(path)]
    lines = [line for line in path.read_text().splitlines() if not line.startswith("  repeated:")]
    after = [at for at, line in enumerate(lines) if line.startswith("  verdict:")]
    if len(after) != len(noted):
        raise DifflabError(f"{path}: give each claim its verdict on a line of its own, two blanks before it")
    for at, verdicts in reversed([*zip(after, noted, strict=True)]):
        lines.insert(at + 1, f"  repeated: {{{', '.join(f'{run}: {verdict}' for run, verdict in verdicts.items())}}}")
    write_text(path, "\n".join(lines) + "\n")


def find(claim: Claim, summary: Mapping[str, Any]) -> Finding:
    """What the numbers say of a claim.

    Raises:
        DifflabError: a metric is absent.
    """
    if claim.says is not None:
        words = [str(_value(claim, metric, summary)) for metric in claim.metrics]
        verdict = HOLDS if set(words) == {claim.says} else OPEN if OPEN in words else FAILS
        return Finding(claim, verdict, ", ".join(words))
    found = [_compared(claim, metric, bound, summary) for metric in claim.metrics for bound in claim.bounds]
    _, verdict, evidence = min(found)
    return Finding(claim, verdict, evidence)


def _compared(claim: Claim, metric: str, bound: str | float, summary: Mapping[str, Any]) -> tuple[float, str, str]:
    """How far a number lies on the claimed side of a bound, in halves of the interval of their difference; the verdict."""
    value, ends = _value(claim, metric, summary), interval(summary, metric)
    limit = claim.times * float(_value(claim, bound, summary) if isinstance(bound, str) else bound)
    around = interval(summary, bound) if isinstance(bound, str) else None
    limits = (claim.times * around[0], claim.times * around[1]) if around else (limit, limit)
    sign = "<" if claim.above is None else ">"
    ahead = (value - limit) * (1 if sign == ">" else -1)
    evidence = f"{metric} {_shown(value, ends)} {sign} {_shown(limit, limits if around else None)}"
    if claim.exact:
        return (math.inf if ahead > 0 else -math.inf), HOLDS if ahead > 0 else FAILS, evidence
    if ends is None:
        return math.copysign(0.5, ahead), OPEN, f"{evidence}, no interval"
    low, high = apart(value, ends, limit, limits)
    width = value - limit - low if value > limit else high - (value - limit)
    verdict = (HOLDS if ahead > 0 else FAILS) if low > 0 or high < 0 else OPEN
    return (ahead / width if width else math.copysign(math.inf, ahead)), verdict, evidence


def _value(claim: Claim, name: str, summary: Mapping[str, Any]) -> Any:
    if name not in summary:
        raise DifflabError(f"claim '{claim.statement}': there is no number {name}: run `{claim.command}`")
    return summary[name]


def _shown(value: float, ends: Interval | None) -> str:
    return plus_minus(value, ends, f".{decimals(value)}f")


def known_findings(claims: Sequence[Claim], summary: Mapping[str, Any]) -> tuple[list[Finding], list[str]]:
    """The findings of those claims whose metrics exist, and a line for each of the others."""
    findings, absent = [], []
    for claim in claims:
        try:
            findings.append(find(claim, summary))
        except DifflabError as error:
            absent.append(str(error))
    return findings, absent


def claims_table(findings: Sequence[Finding]) -> str:
    """The claims, what the numbers say of each, and the comparison that decides."""
    rows = [
        [f.claim.statement, told(f), repeated(f.claim), f"`{f.evidence}`", f"`{f.claim.command}`"] for f in findings
    ]
    return table(["claim", "verdict", "run anew", "decided by", "made by"], rows, numbers=False) if rows else ""


def repeated(claim: Claim) -> str:
    """What runs of the whole study on other machines say: the same as is stated, or what else and which; or nothing yet."""
    others = [f"**{verdict}** ({name})" for name, verdict in claim.repeated.items() if verdict != claim.verdict]
    return ", ".join(others) or ("the same" if claim.repeated else "–")


def told(finding: Finding) -> str:
    """The verdict, and the stated one where it is another."""
    return finding.verdict if finding.as_stated else f"**{finding.verdict}, stated: {finding.claim.verdict}**"

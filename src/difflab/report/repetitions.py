"""metrics/repetitions.csv: headline numbers of the whole study run again, on other processors or with other arithmetic.

Trainings of one run share its data, its base and its other small models. How far a score moves when all of that is
made anew, only whole runs tell: `difflab reproduced --record NAME` adds one.
"""

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from difflab.core.base.errors import DifflabError
from difflab.metrics.intervals import RELATIVE, Spread, student
from difflab.report.headlines import Headline, Summary, half_width, headline_names

REPETITIONS = "metrics/repetitions.csv"
HEADER = ("repetition", "processor", "setting", "name", "committed", "value")
ARITHMETIC = ("MKL_CBWR", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")  # variables that choose instruction sets


@dataclass(frozen=True)
class Repetition:
    """A headline number of one repetition, and the committed value that it repeats."""

    repetition: str
    processor: str
    setting: str
    name: str
    committed: float
    value: float


def parse(text: str, source: str = REPETITIONS) -> list[Repetition]:
    """The repetitions of a file's text; an error names the line that is none.

    Raises:
        DifflabError: a line is not one.
    """
    rows = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), 2):
        try:
            *texts, committed, value = (row[name] for name in HEADER)
            repetition, processor, setting, name = texts
            rows.append(Repetition(repetition, processor, setting, name, float(committed), float(value)))
        except (KeyError, TypeError, ValueError):
            raise DifflabError(f"{source}, line {number} is no repetition: it needs {', '.join(HEADER)}") from None
    return rows


def record(name: str, committed: Summary, found: Summary, processor: str, path: Path = Path(REPETITIONS)) -> int:
    """Add the headline numbers of a run as the repetition `name`; how many they are.

    Raises:
        DifflabError: there is a repetition of this name.
    """
    rows = parse(path.read_text()) if path.is_file() else []
    if any(row.repetition == name for row in rows):
        raise DifflabError(f"{path} has a repetition '{name}' already: give another name")
    setting = " ".join(f"{key}={os.environ[key]}" for key in ARITHMETIC if os.environ.get(key))
    new = [
        Repetition(
            name, processor, setting, headline.name, float(committed[headline.name]), float(found[headline.name])
        )
        for headline in headline_names(found)
        if headline.name in committed
    ]
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(HEADER)
        for row in (*rows, *new):
            writer.writerow(
                [row.repetition, row.processor, row.setting, row.name, f"{row.committed:.6g}", f"{row.value:.6g}"]
            )
    return len(new)


def between(rows: Iterable[Repetition]) -> dict[tuple[str, str], Spread]:
    """The spread between whole runs, by study and measure, pooled over cells and repetitions.

    Half the squared difference of two runs is an estimate of the variance of one; a degree of freedom for each.
    """
    rows = list(rows)
    headlines = {headline.name: headline for headline in headline_names(row.name for row in rows)}
    pairs: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in (row for row in rows if row.name in headlines):
        headline = headlines[row.name]
        pairs.setdefault((headline.study, headline.measure), []).append((row.committed, row.value))
    return {(study, measure): _spread(found, measure) for (study, measure), found in pairs.items()}


def _spread(pairs: list[tuple[float, float]], measure: str) -> Spread:
    relative = measure in RELATIVE and all(a + b > 0 for a, b in pairs)
    shares = [(a - b) / ((a + b) / 2 if relative else 1) for a, b in pairs]
    return Spread(math.sqrt(sum(share**2 / 2 for share in shares) / len(shares)), len(shares), relative)


def prediction_half(summary: Summary, headline: Headline, spreads: Mapping[tuple[str, str], Spread]) -> float | None:
    """Half of the 95 % prediction interval of a number in another run of the same study; None where nothing is known.

    The wider of two: sqrt(2) times its own interval, which knows the trainings, and what whole runs differed by.
    """
    own, spread = half_width(summary, headline), spreads.get((headline.study, headline.measure))
    halves = [own] if own is not None else []
    if spread is not None:
        halves.append(student(spread.freedom) * spread.of(float(summary[headline.name])))
    return math.sqrt(2) * max(halves) if halves else None

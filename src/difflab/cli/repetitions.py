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

from difflab.cli.headlines import Headline, Summary, headline_names, interval
from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import decoded, write_text
from difflab.metrics.uncertainty.intervals import Interval, Spread, pooled_spread, scale_of, student, widened

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
    with reading(source, f"`git restore {source}` brings it back"):
        lines = list(csv.DictReader(io.StringIO(text)))
    for number, row in enumerate(lines, 2):
        try:
            *texts, committed, value = (row[name] for name in HEADER)
            repetition, processor, setting, name = texts
            rows.append(Repetition(repetition, processor, setting, name, float(committed), float(value)))
        except (KeyError, TypeError, ValueError):
            raise DifflabError(
                f"{source}, line {number} is no repetition: it needs {', '.join(HEADER)}; see `git diff {source}`"
            ) from None
    if not rows:
        raise DifflabError(f"{source} holds no repetition: `git restore {source}` brings it back")
    return rows


def read(path: Path = Path(REPETITIONS)) -> list[Repetition]:
    """The repetitions of a file; none where it is absent."""
    return parse(decoded(path.read_bytes(), str(path)), str(path)) if path.exists() else []


def check_free(name: str, path: Path = Path(REPETITIONS)) -> None:
    """Refuse the name of a repetition that is there."""
    if any(row.repetition == name for row in read(path)):
        raise DifflabError(f"{path} has a repetition '{name}' already: give another name")


def record(name: str, committed: Summary, found: Summary, processor: str, path: Path = Path(REPETITIONS)) -> int:
    """Add the headline numbers of a run as the repetition `name`; how many they are.

    Raises:
        DifflabError: there is a repetition of this name.
    """
    check_free(name, path)
    rows = read(path)
    setting = " ".join(f"{key}={os.environ[key]}" for key in ARITHMETIC if os.environ.get(key))
    new = [
        Repetition(
            name, processor, setting, headline.name, float(committed[headline.name]), float(found[headline.name])
        )
        for headline in headline_names(found)
        if headline.name in committed
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for row in (*rows, *new):
        writer.writerow(
            [row.repetition, row.processor, row.setting, row.name, f"{row.committed:.6g}", f"{row.value:.6g}"]
        )
    write_text(path, text.getvalue())
    return len(new)


def between(rows: Iterable[Repetition]) -> dict[tuple[str, str], Spread]:
    """The spread between whole runs, by study and measure, pooled over cells and repetitions.

    Each pair of runs gives a degree of freedom. The cells of one run share its data and its base and move together, so
    that fewer are independent than are counted.
    """
    rows = list(rows)
    headlines = {headline.name: headline for headline in headline_names(row.name for row in rows)}
    pairs: dict[tuple[str, str], dict[str, tuple[float, float]]] = {}
    for row in (row for row in rows if row.name in headlines):
        key = headlines[row.name].study, headlines[row.name].measure
        pairs.setdefault(key, {})[f"{row.repetition}: {row.name}"] = row.committed, row.value
    return {
        (study, measure): pooled_spread(found, scale_of(measure, [sum(pair) for pair in found.values()]))
        for (study, measure), found in pairs.items()
    }


def prediction(summary: Summary, headline: Headline, spreads: Mapping[tuple[str, str], Spread]) -> Interval | None:
    """The 95 % prediction interval of a number in another run of the same study; None where nothing is known.

    The wider of two: sqrt(2) times its own interval, which knows the trainings, and what whole runs differed by.
    """
    mean, own = float(summary[headline.name]), interval(summary, headline)
    spread, scale = spreads.get((headline.study, headline.measure)), scale_of(headline.measure, [1.0])
    found = [] if own is None else [widened(mean, own, math.sqrt(2), scale)]
    if spread is not None:
        found.append(spread.around(mean, math.sqrt(2) * student(spread.freedom)))
    return max(found, key=lambda ends: ends[1] - ends[0], default=None)

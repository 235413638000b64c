"""Tables by description: a name for each row, and for each column where its values stand and how they are shown."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from difflab.report.markdown import table
from difflab.sd3.cells import MINUS

Numbers = Mapping[str, float]
Show = Callable[[Numbers, str], str]
ABSENT = "–"


@dataclass(frozen=True)
class Column:
    """A column of numbers.

    Attributes:
        header: what stands above it.
        key: of its values; `{}` stands for the row's key.
        show: a value as text, `ABSENT` where there is none.
    """

    header: str
    key: str
    show: Show


def described(corner: str, rows: Mapping[str, str], columns: Sequence[Column], found: Numbers) -> str:
    """A Markdown table of `found`, without the rows that have no value at all.

    Args:
        rows: the name of each row by its key.
    """
    body = [[name, *(c.show(found, c.key.format(row)) for c in columns)] for row, name in rows.items()]
    body = [row for row in body if set(row[1:]) != {ABSENT}]
    return table([corner, *(column.header for column in columns)], body)


def plain(text: str) -> Show:
    """Values in a format of Python: `plain("{:.2f}")`."""
    return lambda found, key: text.format(found[key]) if key in found else ABSENT


def beside(end: str, digits: int, mark: str = " ± ") -> Show:
    """Values with what stands at `<key><end>`, where it does: "24.31 ± 0.25"."""

    def show(found: Numbers, key: str) -> str:
        if key not in found:
            return ABSENT
        other = found.get(key + end)
        return signed(f"{found[key]:.{digits}f}" + ("" if other is None else f"{mark}{other:.{digits}f}"))

    return show


def spread(scale: float = 1) -> Show:
    """Values of three significant digits with their standard deviation: "24.3 ± 0.4"."""

    def show(found: Numbers, key: str) -> str:
        if key not in found:
            return ABSENT
        value, std = found[key] * scale, found.get(f"{key}_std")
        return number(value) + ("" if std is None else f" ± {std * scale:.{decimals(value)}f}")

    return show


def percent(digits: int = 1) -> Show:
    """Shares as "97.0 % ± 0.5"."""

    def show(found: Numbers, key: str) -> str:
        if key not in found:
            return ABSENT
        std = found.get(f"{key}_std")
        return f"{100 * found[key]:.{digits}f} %" + (f" ± {100 * std:.{digits}f}" if std is not None else "")

    return show


def number(value: float) -> str:
    """Three significant digits without an exponent: 61.0, 8.90, 0.412."""
    return signed(f"{value:.{decimals(value)}f}")


def decimals(value: float) -> int:
    """Decimals that show three significant digits, at most 4."""
    return 2 if value == 0 else min(4, max(0, 2 - math.floor(math.log10(abs(value)))))


def signed(text: str) -> str:
    """With a typographic minus."""
    return text.replace("-", MINUS)

"""Tables by description: a name for each row, and for each column where its values stand and how they are shown."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from difflab.sd3.artifacts.cells import MINUS

Numbers = Mapping[str, float]
Show = Callable[[Numbers, str], str]
ABSENT = "–"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: bool = True) -> str:
    """A Markdown table; the first column is left-aligned, the others right-aligned (`numbers=False`: all left)."""
    rule = ["---"] + ["---:" if numbers else "---"] * (len(header) - 1)
    lines = ([cell.replace("|", "\\|") for cell in row] for row in (header, rule, *rows))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bullets(items: Iterable[str]) -> str:
    """A Markdown list, one line for each item."""
    return "\n".join(f"- {item}" for item in items)


def described(corner: str, rows: Mapping[str, str], columns: Mapping[str, tuple[str, Show]], found: Numbers) -> str:
    """A table of `found`, without the rows that have no value at all.

    Args:
        rows: the name of each row by its key; a key may have parts: "blur/psnr".
        columns: by header the key of the values, where each `{}` stands for a part of the row's key, and how a value
            is shown.
    """
    body = [
        [name, *(show(found, key.format(*row.split("/"))) for key, show in columns.values())]
        for row, name in rows.items()
    ]
    return table([corner, *columns], [row for row in body if set(row[1:]) != {ABSENT}])


def value(digits: int | None = None, scale: float = 1, unit: str = "") -> Show:
    """How a value is shown, with its 95 % interval where that is known: "24.31 ± 0.25", "97.0 % (91.2 to 99.8)".

    Args:
        digits: decimals; None: three significant digits.
        unit: stands behind the value: "97.0 % ± 0.5".
    """

    def show(found: Numbers, key: str) -> str:
        if found.get(key) is None:
            return ABSENT
        number, ends = scale * found[key], interval(found, key)
        places = decimals(number) if digits is None else digits
        return plus_minus(number, ends and (scale * ends[0], scale * ends[1]), f".{places}f", f".{places}f", unit)

    return show


def interval(found: Numbers, key: str) -> tuple[float, float] | None:
    """The ends of a number's 95 % interval; None where it has none."""
    low, high = found.get(f"{key}_low"), found.get(f"{key}_high")
    return None if low is None or high is None else (low, high)


def plus_minus(
    mean: float, ends: tuple[float, float] | None, form: str = ".4g", half_form: str = ".2g", unit: str = ""
) -> str:
    """A number with its interval: "24.31 ± 0.25", or "0.97 (0.91 to 0.99)" where that is not symmetric."""
    text = f"{mean:{form}}{unit}"
    if ends is not None:
        below, above = mean - ends[0], ends[1] - mean
        same = math.isclose(below, above, rel_tol=0.02, abs_tol=1e-9)
        text += f" ± {above:{half_form}}" if same else f" ({ends[0]:{form}} to {ends[1]:{form}})"
    return signed(text)


def number(value: float) -> str:
    """Three significant digits without an exponent: 61.0, 8.90, 0.412."""
    return signed(f"{value:.{decimals(value)}f}")


def decimals(value: float) -> int:
    """Decimals that show three significant digits, at most 4."""
    return 2 if value == 0 else min(4, max(0, 2 - math.floor(math.log10(abs(value)))))


def signed(text: str) -> str:
    """With a typographic minus."""
    return text.replace("-", MINUS)

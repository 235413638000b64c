"""Pieces of Markdown."""

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: bool = True) -> str:
    """A table; the first column is left-aligned, the others right-aligned (`numbers=False`: all left)."""
    rule = ["---"] + ["---:" if numbers else "---"] * (len(header) - 1)
    lines = ([cell.replace("|", "\\|") for cell in row] for row in (header, rule, *rows))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bullets(items: Iterable[str]) -> str:
    """A list, one line for each item."""
    return "\n".join(f"- {item}" for item in items)

"""The tables of results, from metrics/summary.json."""

from pathlib import Path

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json

BEGIN, END = "<!-- results: written by `difflab readme` -->", "<!-- /results -->"


def results_table(summary: Path = Path("metrics/summary.json")) -> str:
    """The tables of results as Markdown.

    Raises:
        DifflabError: there are no results.
    """
    from difflab.report import captioning_report, series_report, tables

    if not summary.exists():
        raise DifflabError(f"{summary} is missing: run `dvc repro`")
    numbers = read_json(summary)
    parts = (tables.results_table, series_report.results_tables, captioning_report.results_text)
    return "\n\n".join(text for part in parts if (text := part(numbers).rstrip()))


def refreshed(text: str, summary: Path = Path("metrics/summary.json")) -> str:
    """The text with what stands between the two markers replaced by the table.

    Raises:
        DifflabError: the markers are missing, or there are no results.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise DifflabError(f"README.md lacks the lines '{BEGIN}' and '{END}' around its results")
    return f"{before}{BEGIN}\n{results_table(summary).strip()}\n{END}{after}"

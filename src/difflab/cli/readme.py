"""The results that README.md and `difflab results` show, from metrics/summary.json."""

from collections.abc import Mapping
from pathlib import Path

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json

BEGIN, END = "<!-- results: written by `difflab readme` -->", "<!-- /results -->"
SUMMARY = Path("metrics/summary.json")


def results(summary: Path = SUMMARY) -> str:
    """All findings and tables of results as Markdown.

    Raises:
        DifflabError: there are no results.
    """
    from difflab.report.report import results_text

    return results_text(_read(summary))


def refreshed(text: str, summary: Path = SUMMARY) -> str:
    """The text with what stands between the two markers replaced by the main table and three findings.

    Raises:
        DifflabError: the markers are missing, or there are no results.
    """
    from difflab.report.report import headline_text

    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise DifflabError(f"README.md lacks the lines '{BEGIN}' and '{END}' around its results")
    return f"{before}{BEGIN}\n{headline_text(_read(summary))}\n{END}{after}"


def _read(summary: Path) -> Mapping[str, float]:
    if not summary.exists():
        raise DifflabError(f"{summary} is missing: run `dvc repro`")
    return read_json(summary)

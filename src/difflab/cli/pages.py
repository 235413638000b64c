"""Pages that are made from others: docs/graphs.md from dvc.yaml, results in README.md and docs/references.md."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json
from difflab.core.params.loading import axes_of, read_pipeline
from difflab.report.summary import TEXTS

BEGIN, END = "<!-- results: written by `difflab readme` -->", "<!-- /results -->"
REFERENCES, ANSWERS = "docs/references.md", "<!-- answers: written by `difflab readme` -->"
SUMMARY = Path("metrics/summary.json")
TITLES = {
    "images": "Data sets",
    "miniature": "Models of the miniature",
    "sd3": "SD3 LoRA study",
    "attention": "Attention",
    "ddpm": "DDPM series and denoising",
    "captioning": "Captioning study",
    "personal": "Few images",
    "report": "Report",
}
HEAD = """# The graph of each study

Made from dvc.yaml by `difflab graphs`. An arrow leads from a stage to one that reads its output; dashed stages belong to
another study; *x 6* is a stage of six cells. Names are those of `dvc repro <stage>`.
"""


def read_summary(summary: Path = SUMMARY) -> Mapping[str, float]:
    """The numbers of metrics/summary.json; an error line where there are none."""
    if not summary.exists():
        raise DifflabError(f"{summary} is missing: run `dvc repro`")
    numbers = read_json(summary)
    if not isinstance(numbers, dict) or not all(map(_is_result, numbers.items())):
        raise DifflabError(
            f"{summary} is damaged: `git restore {summary}` brings it back, or `dvc repro report` writes it"
        )
    return numbers


def _is_result(item: tuple[str, object]) -> bool:
    name, value = item
    return isfinite(value) if isinstance(value, int | float) else name.endswith(TEXTS)


def refreshed(text: str, summary: Path = SUMMARY) -> str:
    """The text with what stands between the two markers replaced by the main table and three findings.

    Raises:
        DifflabError: the markers are missing, or there are no results.
    """
    from difflab.report.report import headline_text

    return _between(text, BEGIN, headline_text(read_summary(summary)), "README.md")


def answered(text: str, summary: Path = SUMMARY) -> str:
    """docs/references.md with the answers to references 001 and 002 between its markers; errors as of `refreshed`."""
    from difflab.cli.references import answers

    return _between(text, ANSWERS, answers(read_summary(summary)), REFERENCES)


def _between(text: str, mark: str, made: str, page: str) -> str:
    before, begin, rest = text.partition(mark)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise DifflabError(f"{page} lacks the lines '{mark}' and '{END}' around its results")
    return f"{before}{mark}\n{made}\n{END}{after}"


def graphs(pipeline: str = "dvc.yaml") -> str:
    """The text of docs/graphs.md: a Mermaid diagram for each study, in the order of `TITLES`."""
    path = str(Path(pipeline).resolve())
    stages = {name: s | {"matrix": axes_of(s, path)} for name, s in read_pipeline(path)["stages"].items()}
    studies = {name: _study(name, str(stage.get("cmd"))) for name, stage in stages.items()}
    if unknown := sorted(set(studies.values()) - TITLES.keys()):
        raise DifflabError(f"stages/{unknown[0]} is no known study: add its title to difflab.cli.pages.TITLES")
    edges = sorted(set(_edges(stages)))
    parts = [HEAD]
    for study, title in TITLES.items():
        own = [name for name, of in studies.items() if of == study]
        rows = [
            "| stage | what it does |",
            "| --- | --- |",
            *(f"| `{name}` | {stages[name]['desc']} |" for name in own),
        ]
        diagram = "It reads the metrics and plots of every stage above."
        if study != "report":
            diagram = _diagram(stages, own, [edge for edge in edges if edge[1] in own])
        parts.append("\n".join([f"## {title}", "", *rows, "", diagram, ""]))
    return "\n".join(parts)


def _study(stage: str, cmd: str) -> str:
    """The study whose folder a stage's script lies in."""
    if found := re.search(r"-m stages\.(\w+)\.", cmd):
        return found[1]
    raise DifflabError(
        f"stage {stage} of dvc.yaml runs no `python -m stages.<study>.<name>`: the graphs cannot place it"
    )


def _edges(stages: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pairs (maker, reader), whichever of their cells they join."""
    made = {path: name for name, stage in stages.items() for path in _paths(stage, _outputs(stage))}
    for reader, stage in stages.items():
        data = [dep for dep in stage.get("deps") or [] if not dep.startswith(("src/", "stages/"))]
        for dep in _paths(stage, data):
            pattern = "[^/]+".join(map(re.escape, re.split(r"\$\{[^}]*\}", dep)))  # a value of params.yaml
            yield from ((maker, reader) for path, maker in made.items() if re.fullmatch(pattern, path))


def _outputs(stage: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("outs", "metrics", "plots"):
        for entry in stage.get(kind) or []:
            yield entry if isinstance(entry, str) else next(iter(entry))


def _paths(stage: Mapping[str, Any], templates: Iterable[str]) -> set[str]:
    """The templates with the items of every cell put in."""
    return {
        re.sub(r"\$\{item\.(\w+)\}", lambda m, item=item: item[m[1]], template).replace("${each.data}", data)
        for template in templates
        for item in _items(stage)
        for data in [stage["each"][next(iter(item.values()))]["data"] if "each" in stage else ""]
    }


def _items(stage: Mapping[str, Any]) -> list[dict[str, str]]:
    """The items of a stage's cells; one empty item for a plain stage."""
    axes = stage.get("matrix") or {}
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _diagram(stages: Mapping[str, Any], own: list[str], edges: list[tuple[str, str]]) -> str:
    """A left-to-right flowchart of `own` and, dashed, of the stages of other studies that they read."""
    if not edges:
        return ""
    others = sorted({a for a, _ in edges} - set(own))
    lines = ["```mermaid", "flowchart LR"]
    for name in [*own, *others]:
        cells = len(_items(stages[name]))
        lines.append(f'  {name}["{name}{f" x {cells}" if cells > 1 else ""}"]')
    lines += [f"  {a} --> {b}" for a, b in edges]
    if others:
        lines += ["  classDef other stroke-dasharray: 4 4", f"  class {','.join(others)} other"]
    return "\n".join([*lines, "```"])

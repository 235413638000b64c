"""The graph of each study as a Mermaid diagram, read from dvc.yaml."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import write_text
from difflab.core.params.loading import read_pipeline

PAGE = Path("docs/graphs.md")
TITLES = {
    "images": "Data sets",
    "miniature": "Models of the miniature",
    "sd3": "SD3 LoRA study",
    "ddpm": "DDPM series and denoising",
    "captioning": "Captioning study",
    "report": "Report",
}
HEAD = """# The graph of each study

Made from dvc.yaml by `difflab graphs`. An arrow leads from a stage to one that reads its output; dashed stages belong to
another study; *x 6* is a stage of six cells. Names are those of `dvc repro <stage>`.
"""


def page(pipeline: str = "dvc.yaml") -> str:
    """The text of docs/graphs.md: a diagram for each study, in the order of `TITLES`."""
    stages = read_pipeline(str(Path(pipeline).resolve()))["stages"]
    studies = {name: study_of(stage) for name, stage in stages.items()}
    unknown = sorted(set(studies.values()) - TITLES.keys())
    if unknown:
        raise DifflabError(f"stages/{unknown[0]} is no known study: add its title to difflab.cli.graphs.TITLES")
    edges = sorted(set(_edges(stages)))
    parts = [HEAD]
    for study, title in TITLES.items():
        own = [name for name, of in studies.items() if of == study]
        shown = [(a, b) for a, b in edges if b in own] if study != "report" else []
        parts.append(f"## {title}\n\n{_table(stages, own)}\n\n{_diagram(stages, own, shown)}\n")
    return "\n".join(parts)


def write(check: bool) -> str | None:
    """Write the page; with `check` only say how it differs from dvc.yaml (None where it does not)."""
    text = page()
    if not check:
        write_text(PAGE, text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        return f"{PAGE} is not what dvc.yaml gives: run `difflab graphs`"
    return None


def study_of(stage: Mapping[str, Any]) -> str:
    """The folder of the stage's script: `sd3` of `python -m stages.sd3.finetune ...`."""
    found = re.search(r"-m stages\.(\w+)\.", stage["cmd"])
    assert found is not None
    return found[1]


def _edges(stages: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pairs (maker, reader), whichever of their cells they join."""
    made = {path: name for name, stage in stages.items() for path in _paths(stage, _outputs(stage))}
    for reader, stage in stages.items():
        for dep in _paths(stage, _dependencies(stage)):
            pattern = "[^/]+".join(map(re.escape, re.split(r"\$\{[^}]*\}", dep)))  # a value of params.yaml
            yield from ((maker, reader) for path, maker in made.items() if re.fullmatch(pattern, path))


def _outputs(stage: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("outs", "metrics", "plots"):
        for entry in stage.get(kind) or []:
            yield entry if isinstance(entry, str) else next(iter(entry))


def _dependencies(stage: Mapping[str, Any]) -> Iterator[str]:
    return (dep for dep in stage.get("deps") or [] if not dep.startswith(("src/", "stages/")))


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


def _table(stages: Mapping[str, Any], own: list[str]) -> str:
    rows = [f"| `{name}` | {stages[name]['desc']} |" for name in own]
    return "\n".join(["| stage | what it does |", "| --- | --- |", *rows])


def _diagram(stages: Mapping[str, Any], own: list[str], edges: list[tuple[str, str]]) -> str:
    """A left-to-right flowchart of `own` and, dashed, of the stages of other studies that they read."""
    if not edges:
        return "It reads the metrics and plots of every stage above." if own == ["report"] else ""
    others = sorted({a for a, _ in edges} - set(own))
    lines = ["```mermaid", "flowchart LR"]
    for name in [*own, *others]:
        cells = len(_items(stages[name]))
        lines.append(f'  {name}["{name}{f" x {cells}" if cells > 1 else ""}"]')
    lines += [f"  {a} --> {b}" for a, b in edges]
    if others:
        lines += ["  classDef other stroke-dasharray: 4 4", f"  class {','.join(others)} other"]
    return "\n".join([*lines, "```"])

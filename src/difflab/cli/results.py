"""What a revision holds: its parameters, its numbers, and which stages made them from what."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from difflab.cli.headlines import Headline, ruler
from difflab.cli.revisions import read_files
from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import decoded, parse_json
from difflab.core.params.loading import dotted, parse_yaml
from difflab.report.summary import PREFIXES, metrics_file, prefixed

SUMMARY = "metrics/summary.json"
_SCORERS = r"models/\S*(vision_encoder|classifier)"  # networks that score


@dataclass(frozen=True)
class Result:
    """What one revision holds: parameters by dotted names, and what metrics/summary.json has.

    `lock` are the stages of dvc.lock by their addresses.
    """

    name: str
    params: Mapping[str, Any]
    summary: Mapping[str, Any]
    lock: Mapping[str, Any] = field(default_factory=dict)

    @property
    def older(self) -> dict[str, Any]:
        """Parameters, dotted, that a stage ran with and that have another value now."""
        ran = [stage.get("params", {}).get("params.yaml", {}) for stage in self.lock.values()]
        return {k: v for group in ran for k, v in dotted(group).items() if self.params.get(k) != v}

    def hashes(self, kind: str, path: str = "", stage: str = "") -> dict[str, str]:
        """The hashes of `deps` or `outs` whose paths match, of stages whose addresses match (regular expressions)."""
        entries = (e for address, s in self.lock.items() if re.match(stage, address) for e in s.get(kind, []))
        return {entry["path"]: entry.get("md5", "") for entry in entries if re.match(path, entry["path"])}

    def ruler(self, headline: Headline) -> str | None:
        """What took a measure: the network that its stage names, else that which dvc.lock says was read for it."""
        if (named := ruler(self.summary, headline)) or not headline.ruled:
            return named
        return repr(sorted(self.hashes("deps", _SCORERS, f"{headline.stage}$").items()))


def read(rev: str) -> Result:
    """The result of a Git revision or DVC experiment; `workspace` is the working tree.

    The stages' own metrics are read beside the summary: they may be newer than the summary, which the report writes.

    Raises:
        DifflabError: there is no such revision, it holds no results, or a file of it is damaged.
    """
    newer = {metrics_file(stage): stage for stage in PREFIXES}
    texts = read_files(rev, ["params.yaml", "dvc.lock", SUMMARY, *newer])
    if SUMMARY not in texts:
        raise DifflabError(f"'{rev}' has no {SUMMARY}: run `dvc repro report` there")

    def numbers(path: str) -> dict[str, Any]:
        with reading(f"{path} of '{rev}'", "run `dvc repro -f report`"):
            found = parse_json(texts[path])
        if not isinstance(found, dict):
            raise DifflabError(f"{path} of '{rev}' is damaged (no names and numbers): run `dvc repro -f report`")
        return found

    summary = numbers(SUMMARY)
    for path in newer.keys() & texts.keys():
        summary |= prefixed(newer[path], numbers(path))
    if not all(texts.get(file, b"-") for file in ("params.yaml", "dvc.lock")):
        file = "dvc.lock" if texts.get("params.yaml", b"-") else "params.yaml"
        raise DifflabError(f"{file} of '{rev}' is empty: `git restore {file}` brings it back")
    params = mapping(texts.get("params.yaml", b""), f"params.yaml of '{rev}'")
    return Result(rev, dotted(params), summary, lock_stages(texts.get("dvc.lock", b""), f"dvc.lock of '{rev}'"))


def lock_stages(text: bytes, source: str) -> dict[str, Any]:
    """The stages of a dvc.lock by their addresses.

    Raises:
        DifflabError: it is no lock.
    """
    stages = mapping(text, source).get("stages", {})
    if not isinstance(stages, dict) or not all(isinstance(stage, dict) for stage in stages.values()):
        raise DifflabError(f"{source} is damaged (its stages have no names): `git restore dvc.lock` brings it back")
    return stages


def mapping(text: bytes, source: str) -> dict[str, Any]:
    """A YAML text that holds names and values; an empty one holds none.

    Raises:
        DifflabError: it holds something else.
    """
    found = parse_yaml(decoded(text, source), source)
    if text and not isinstance(found, dict):
        file, what = source.split()[0], "nothing" if found is None else f"a {type(found).__name__}"
        raise DifflabError(f"{source} is damaged ({what}): `git restore {file}` brings it back")
    return found or {}

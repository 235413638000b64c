"""Read params.yaml, check all of it, and show a stage only the groups it declares."""

import itertools
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from difflab.core.base.errors import DifflabError
from difflab.core.params.base import COMMON, Family, dotted

# PyYAML's own rule, YAML 1.1's, wants a point in every number with an exponent.
_FLOAT = re.compile(
    r"""^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?(?:[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)
    |[-+]?\.[0-9_]+(?:[eE][-+]?[0-9]+)?
    |[-+]?\.(?:inf|Inf|INF)
    |\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)
FILE = "params.yaml"
ALWAYS_VISIBLE = ("tracking",)  # cannot change a result


class Declared:
    """The declared groups as attributes; reading any other group is an error that says where to declare it."""

    def __init__(self, params: Any, stage: str, groups: tuple[str, ...], path: str = "") -> None:
        self._params, self._stage, self._groups, self._path = params, stage, groups, path

    def __getattr__(self, name: str) -> Any:
        path = f"{self._path}.{name}" if self._path else name
        if not self._path and name in ALWAYS_VISIBLE:
            return getattr(self._params, name)
        inside = any(g.startswith(path + ".") for g in self._groups)
        if not inside and not any(path == g or path.startswith(g + ".") for g in self._groups):
            raise self._undeclared(path)
        common = f"{self._path}.{COMMON}"
        if isinstance(self._params, Family) and name in self._params.groups() and common not in self._groups:
            raise self._undeclared(common)
        child = _child(self._params, name)
        return Declared(child, self._stage, self._groups, path) if inside else child

    def _undeclared(self, path: str) -> DifflabError:
        return DifflabError(
            f"stage {self._stage} reads the parameter group '{path}' but dvc.yaml does not declare it under params"
        )

    __getitem__ = __getattr__

    def as_dict(self) -> dict[str, Any]:
        """The declared values as plain nested data, for fingerprints and for tracking."""
        result: dict[str, Any] = {}
        for group in sorted(self._groups):
            if group.endswith(f".{COMMON}"):  # its values stand in the groups that take them
                continue
            value: Any = self
            for part in group.split("."):
                value = value[part] if isinstance(value, Declared) else _child(value, part)
            result[group] = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
        return result


def _child(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        if name not in value:
            raise DifflabError(f"there is no '{name}' here, only {', '.join(map(str, value))}")
        return value[name]
    return getattr(value, name)


def load_params(path: str | Path = FILE):
    """The whole of params.yaml, checked: an error names the key that is unknown, missing or out of range."""
    if not Path(path).exists():
        raise DifflabError(f"{path} is missing: run `difflab compose` to write it from conf/")
    return check_params(read_values(path), source=str(path))


def check_params(values: Any, source: str):
    """The checked parameters; `source` is what an error says they came from."""
    from difflab.study import Params

    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise DifflabError(f"{source}: {describe(error)}") from None


def read_values(path: str | Path = FILE) -> dict[str, Any]:
    """params.yaml as plain data."""
    return read_yaml(path) or {}


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file; bytes that are no UTF-8 are seen as the replacement character, and refused as values."""
    return parse_yaml(Path(path).read_text(encoding="utf-8", errors="replace"), str(path))


def parse_yaml(text: str, source: str) -> Any:
    """The content of a YAML text, with numbers as OmegaConf and DVC read them; errors say it came from `source`."""
    import yaml

    try:
        return yaml.load(text, Loader=_loader())
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:  # the others: of its values
        if re.search(r"^<{7} ", text, re.MULTILINE):
            raise DifflabError(
                f"{source} holds an unfinished merge (<<<<<<<): take one side of each, then go on"
            ) from None
        reason = " ".join(str(error).split()).replace(' in "<unicode string>",', " at")
        raise DifflabError(f"{source} is not valid YAML: {reason}") from None


@cache
def _loader() -> type:
    import yaml
    from yaml.constructor import ConstructorError

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
                if key.value in seen:  # PyYAML takes the last of two; DVC refuses the file
                    raise ConstructorError(None, None, f"'{key.value}' stands twice", key.start_mark)
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
    return Loader


def describe(error: ValidationError) -> str:
    """One line for the first problems of a pydantic error: dotted key, what is wrong, what was given."""
    problems = []
    for item in error.errors()[:3]:
        key = ".".join(map(str, item["loc"]))
        if item["type"] == "extra_forbidden":
            problems.append(f"unknown parameter '{key}'")
        elif item["type"] == "missing":
            problems.append(f"parameter '{key}' is missing")
        else:
            message = item["msg"].removeprefix("Value error, ")
            given = "" if isinstance(item["input"], dict) else f" (given: {item['input']!r})"
            problems.append(f"parameter '{key}': {message}{given}" if key else message)
    return "; ".join(problems)


@cache
def read_pipeline(path: str) -> dict[str, Any]:
    """The content of dvc.yaml; a `foreach` reads as a matrix of one axis whose items carry values."""
    if not Path(path).exists():
        raise DifflabError(f"{path} is missing: run this in the root of the repository")
    content = read_yaml(path)
    if not isinstance(content, dict) or not content.get("stages"):
        raise DifflabError(f"{path} has no stages: `git checkout {Path(path).name}` brings them back")
    if not isinstance(content["stages"], dict) or not all(isinstance(s, dict) for s in content["stages"].values()):
        raise DifflabError(f"{path} is no pipeline: its stages need a name and keys (`git diff {Path(path).name}`)")
    for name, stage in content["stages"].items():
        if not _is_stage(stage):
            raise DifflabError(f"{path} is damaged (stage '{name}'): `git diff {Path(path).name}` shows what changed")
    stages = {name: _as_matrix(s) if "foreach" in s else s for name, s in content["stages"].items()}
    return content | {"stages": stages}


def _is_stage(stage: dict[str, Any]) -> bool:
    """Whether it has a command, and axes that are lists."""
    does, axes = stage.get("do", {}) if "foreach" in stage else stage, stage.get("matrix") or {}
    items = isinstance(does, dict) and ("foreach" not in stage or "${key}" in str(does.get("cmd")))
    return (
        items
        and isinstance(does.get("cmd"), str | list)
        and isinstance(axes, dict)
        and all(isinstance(cells, list) for cells in axes.values())
    )


def _as_matrix(stage: dict[str, Any]) -> dict[str, Any]:
    """A `foreach` stage with its axis, which is the option that its command gives `${key}` to, under `matrix`.

    `${item.x}` becomes `${each.x}`, and `${key}` becomes `${item.<axis>}`.
    """
    (option,) = re.findall(r"--([\w-]+) \$\{key\}", stage["do"]["cmd"])
    axis = option.replace("-", "_")
    text = json.dumps(stage["do"]).replace("${item.", "${each.").replace("${key}", f"${{item.{axis}}}")
    return {**json.loads(text), "matrix": {axis: list(stage["foreach"])}, "each": stage["foreach"]}


def addresses(path: str = "dvc.yaml", values: Mapping[str, Any] | None = None) -> list[str]:
    """Every stage of dvc.yaml as DVC names it, those of a matrix with each item: `finetune@blip2-minus`.

    Args:
        values: parameters, in place of those of the params.yaml beside dvc.yaml.
    """
    names = []
    for name, stage in read_pipeline(path)["stages"].items():
        axes = axes_of(stage, path, values).values()
        names += [f"{name}@{'-'.join(item)}" for item in itertools.product(*axes)] if axes else [name]
    return names


def axes_of(
    stage: Mapping[str, Any], path: str = "dvc.yaml", values: Mapping[str, Any] | None = None
) -> dict[str, list[str]]:
    """The axes of a stage's matrix, each value once, with `${group.key}` replaced; `values` as of `addresses`."""
    axes = stage.get("matrix") or {}
    if "${" not in str(axes):
        return axes
    flat = dotted(read_values(Path(path).with_name(FILE)) if values is None else values)
    if lacking := [name for name in re.findall(r"\$\{([\w.]+)\}", str(axes)) if name not in flat]:
        raise DifflabError(
            f"{path} asks for ${{{lacking[0]}}}, which {FILE} lacks: `git diff` shows which of them changed"
        )
    return {
        name: list(dict.fromkeys(re.sub(r"\$\{([\w.]+)\}", lambda m: str(flat[m[1]]), str(cell)) for cell in cells))
        for name, cells in axes.items()
    }


def stage_entry(stage: str, item: dict[str, str], path: str = "dvc.yaml") -> dict[str, Any]:
    """A stage's entry in dvc.yaml with `${item.x}` and `${group.key}` (of params.yaml) replaced."""

    def value_of(name: str) -> str:
        if name.startswith("item."):
            return item[name.removeprefix("item.")]
        if name.startswith("each."):
            return str(stages[stage]["each"][next(iter(item.values()))][name.removeprefix("each.")])
        return str(dotted(read_values())[name])

    stages = read_pipeline(path)["stages"]
    if stage not in stages:
        raise DifflabError(f"dvc.yaml has no stage '{stage}'; it has {', '.join(stages)}")
    for name, known in axes_of(stages[stage], path).items():
        if name in item and item[name] not in known:
            option = name.replace("_", "-")
            raise DifflabError(f"--{option} '{item[name]}' is none of {', '.join(map(str, known))}")
    return json.loads(re.sub(r"\$\{([\w.]+)\}", lambda m: value_of(m[1]), json.dumps(stages[stage])))


def declared_groups(stage: str, item: dict[str, str], path: str = "dvc.yaml") -> tuple[str, ...]:
    """The parameter groups that dvc.yaml lists under `params` of this stage; all, where the file is among its deps."""
    entry = stage_entry(stage, item, path)
    whole = read_values(Path(path).with_name(FILE)) if FILE in entry.get("deps", []) else ()
    return (*entry.get("params", []), *whole)

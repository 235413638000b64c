"""The parameters that dvc.yaml declares are those that a stage reads, and something reads each."""

import ast
import functools
import importlib
import itertools
import re
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from closure import ROOT, STAGES, closure, libraries, modules, relative, script_of, syntax
from difflab.core.base import numerics
from difflab.core.params.base import Family, Group
from difflab.core.params.loading import FILE, load_params


@pytest.mark.parametrize("stage", STAGES)
def test_declared_parameters_are_those_that_the_script_reads(stage):
    """As the script reads them, and as the type of its inputs says."""
    if FILE in STAGES[stage]["deps"]:
        pytest.skip("it depends on the whole file")
    declared = declared_parameters(stage)
    read = parameters_read(script_of(stage))
    undeclared = {r for r in read if not any(_within(r, d) or _within(d, r) for d in declared)}
    unread = {d for d in declared if not any(_within(r, d) or _within(d, r) for r in read)} - {"runtime"}
    if "stage.values()" in script_of(stage).read_text():  # all that is declared
        unread = set()
    assert not undeclared | unread, f"{stage}: declare {undeclared}, remove {unread}"
    assert declared == set(input_fields(inputs_of(script_of(stage)))), f"dvc.yaml and the Inputs of {stage} differ"


@pytest.mark.parametrize("stage", STAGES)
def test_what_groups_share_is_declared_with_them(stage):
    groups = set(STAGES[stage].get("params", []))
    families = {
        path
        for group in groups
        for path in map(".".join, itertools.accumulate(([part] for part in group.split(".")[:-1]), list.__add__))
        if isinstance(family := _at(path), Family) and group.split(".")[path.count(".") + 1] not in _values(family)
    }
    common = {g.removesuffix(".common") for g in groups if g.endswith(".common")}
    assert common == families


@pytest.mark.parametrize("stage", STAGES)
def test_the_libraries_that_a_stage_uses_are_declared(stage):
    if FILE in STAGES[stage]["deps"]:
        pytest.skip("it depends on the whole file")
    used = sorted(f"environment.{group}" for group in libraries(script_of(stage)))
    declared = [g for g in STAGES[stage].get("params", []) if g.startswith("environment.")]
    assert declared == used, f"{stage}: declare {', '.join(used)}"


def declared_parameters(stage: str) -> set[str]:
    """What dvc.yaml lists, without the matrix items, what groups share, and the libraries.

    Of a stage that depends on the whole file, what it says that it reads.
    """
    if FILE in STAGES[stage]["deps"]:
        return set(input_fields(inputs_of(script_of(stage))))
    groups = {g.split(".${")[0] for g in STAGES[stage].get("params", [])}
    groups = {g for g in groups if not g.endswith(".common") and not g.startswith("environment.")}
    return {g for g in groups if not any(g != other and _within(g, other) for other in groups)}


def inputs_of(script: Path) -> type:
    """The class X of `main(stage: Stage[X])`, found without importing the script."""
    tree = syntax(script)
    (main,) = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "main"]
    name = main.args.args[0].annotation.slice.id
    (module,) = [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) if name in {a.name for a in n.names}]
    return getattr(importlib.import_module(module), name)


def input_fields(inputs: type, prefix: str = "") -> Iterator[str]:
    """The dotted names of the groups and values of an Inputs class.

    Plain classes inside it are parts of groups, and so are the names beside an annotated group.
    """
    for name, kind in typing.get_type_hints(inputs, include_extras=True).items():
        if typing.get_origin(kind) is typing.Annotated:
            yield from (f"{prefix}{name}.{part}" for part in kind.__metadata__)
        elif isinstance(kind, type) and kind.__module__ == inputs.__module__ and not issubclass(kind, Group):
            yield from input_fields(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_every_parameter_is_read():
    paths = _leaves(_params())
    early = numerics.mode(ROOT / "params.yaml")  # before any library, from the text of the file
    assert early == _params().runtime.numerics
    elsewhere = ("environment.", "runtime.numerics")
    assert unread(path for path in paths if not path.startswith(elsewhere)) == []


@pytest.mark.parametrize("planted", ["finetune.training.planted", "score.num_beams", "prepare.sigma", "profiles"])
def test_a_parameter_that_nothing_reads_is_found(planted):
    """Also where its name is that of a parameter which other stages read."""
    assert unread([planted]) == [planted]


def unread(paths: Iterable[str]) -> list[str]:
    """The parameters whose name stands nowhere in the code of a stage that declares them.

    Those that no stage declares are read by the command line, behind the name of their group.
    """
    readers: dict[str, set[Path]] = {}  # by declared group
    for stage in STAGES:
        files = {script_of(stage), *(ROOT / file for file in closure(script_of(stage)) if file.endswith(".py"))}
        for group in declared_parameters(stage):
            readers.setdefault(group, set()).update(files)
    cells = {cell for stage in STAGES.values() for axis in stage.get("matrix", {}).values() for cell in axis}
    everywhere = {chain for module in modules() for chain in _attributes(module)}
    found = []
    for path in paths:
        files = {file for group, files in readers.items() if _within(path, group) for file in files}
        if files:
            *_, group, name = ["", *path.split(".")]
            known = name in cells or any({name, f"**{group}"} & names_in(file) for file in files)
        else:
            known = any(f".{chain}".endswith(f".{path}") for chain in everywhere)
        found += [] if known else [path]
    return found


@functools.cache
def names_in(file: Path) -> set[str]:
    """The names of attributes, strings that can be a key, and `**text` of a call `f(**settings.text.model_dump())`."""
    nodes = list(ast.walk(syntax(file)))
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    dumped = {ast.unparse(node.value) for node in nodes if isinstance(node, ast.keyword) and node.arg is None}
    names |= {f"**{text.split('.')[-2]}" for text in dumped if text.endswith(".model_dump()")}
    return names | {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@functools.cache
def _attributes(file: Path) -> set[str]:
    """The dotted chains of attributes in a file, `params.report.comparable`."""
    return {ast.unparse(node) for node in ast.walk(syntax(file)) if isinstance(node, ast.Attribute)}


def _leaves(group: Group, prefix: str = "") -> Iterator[str]:
    for name, value in group:
        if isinstance(value, Group):
            yield from _leaves(value, f"{prefix}{name}.")
        elif not isinstance(value, dict):
            yield prefix + name


@functools.cache
def _params() -> Any:
    return load_params(ROOT / "params.yaml")


def _at(path: str) -> Any:
    return functools.reduce(lambda group, name: getattr(group, name, None), path.split("."), _params())


def _values(family: Family) -> set[str]:
    """The members of a family that are single values, which share nothing."""
    return set(type(family).model_fields) - family.groups().keys() | {"common"}


def test_only_scripts_read_the_parameters_of_the_study():
    """Functions of the package get the groups they need, so that a script shows what its stage depends on."""
    readers = {relative(m) for m in modules() if parameters_read(m)}
    assert readers <= {"src/difflab/core/base/stage.py", "src/difflab/core/tracking.py"}


@functools.cache
def parameters_read(file: Path) -> set[str]:
    """Dotted chains behind `stage.params`, or behind a name that stands for it or for a group in the same function.

    A group that is handed on whole is read whole.
    """
    chains: set[str] = set()
    whole: set[str] = set()
    if ".params" not in file.read_text():
        return set()
    tree = syntax(file)
    for scope in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]:
        bases = {"stage.params": "", **_aliases(scope)}
        nodes = list(ast.walk(scope))
        texts = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
        for base, group in bases.items():
            chains |= {f"{group}.{t.removeprefix(f'{base}.')}".lstrip(".") for t in texts if t.startswith(f"{base}.")}
        handed_on = {ast.unparse(x) for n in nodes if isinstance(n, ast.Call) for x in n.args}
        whole |= {group for base, group in bases.items() if group and base in handed_on}
    chains = {c for c in chains if c.replace(".", "").replace("_", "").isalnum()}
    return whole | {c for c in chains if not any(other.startswith(f"{c}.") for other in chains)}


def _aliases(scope: ast.AST) -> dict[str, str]:
    """The names that a function gives to parts of `stage.params`, `a, b = stage.params.x, stage.params.y` included."""
    found = {}
    for node in ast.walk(scope) if isinstance(scope, ast.FunctionDef) else []:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            names, values = (x.elts if isinstance(x, ast.Tuple) else [x] for x in (node.targets[0], node.value))
            for name, value in zip(names, values, strict=False):
                if isinstance(name, ast.Name) and (
                    chain := re.fullmatch(r"stage\.params\.?([\w.]*)", ast.unparse(value))
                ):
                    found[name.id] = chain[1]
    return found


def _within(path: str, group: str) -> bool:
    return path == group or path.startswith(f"{group}.")

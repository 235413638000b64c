"""dvc.yaml says the truth: every stage lists what it reads, and nothing that it does not."""

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
import yaml

from closure import ROOT, TAKEN_WHOLE, closure, code_files, libraries, modules, relative, suggestion
from difflab.cli.compose import choices, compose, difference, validate
from difflab.core.base import numerics
from difflab.core.params.base import Family, Group
from difflab.core.params.loading import addresses, load_params, read_pipeline
from difflab.ddpm.common.settings import DATASETS, SETTINGS

STAGES = read_pipeline(str(ROOT / "dvc.yaml"))["stages"]
MAX_FILES = 100
REPORT = {"reports/report.md": {"cache": False}}  # read on the web; its stage is too short to miss the run cache


def script_of(stage: str) -> Path:
    return ROOT / (STAGES[stage]["cmd"].split()[2].replace(".", "/") + ".py")


@pytest.mark.parametrize("stage", STAGES)
def test_the_command_runs_the_script_of_that_name(stage):
    words = STAGES[stage]["cmd"].split()
    assert words[:2] == ["python", "-m"], "commands start with `python -m`, so that snapshots run their own code"
    assert script_of(stage).is_file()
    named = script_of(stage).stem
    assert named == stage or words[3:5] == ["--as", stage]
    for key in STAGES[stage].get("matrix", {}):
        assert f"--{key.replace('_', '-')} ${{item.{key}}}" in STAGES[stage]["cmd"]


@pytest.mark.parametrize("stage", STAGES)
def test_the_stage_is_described(stage):
    assert len(STAGES[stage].get("desc", "")) > 20


@pytest.mark.parametrize("stage", STAGES)
def test_every_file_that_the_stage_imports_is_a_dependency(stage):
    needed = closure(script_of(stage)) | {relative(script_of(stage))}
    missing = {file for file in needed if not any(covers(dep, file) for dep in code_of(stage))}
    exact = "\n      - ".join([relative(script_of(stage)), *suggestion(needed, TAKEN_WHOLE)])
    assert not missing, f"{stage}: add {sorted(missing)}; its code dependencies are\n      - {exact}"


@pytest.mark.parametrize("stage", STAGES)
def test_every_file_of_a_dependency_is_imported_by_the_stage(stage):
    """An edit runs the stages again that it can change, and no others."""
    needed = closure(script_of(stage)) | {relative(script_of(stage))}
    exact = [dep for dep in code_of(stage) if dep not in TAKEN_WHOLE]
    idle = {file for dep in exact for file in code_files(dep) - needed}
    assert not idle, f"{stage} needs none of {sorted(idle)}: list the files of that folder which it needs"
    unused = [dep for dep in code_of(stage) if not any(covers(dep, file) for file in needed)]
    assert not unused, f"{stage} imports nothing of {unused}"


def test_folders_that_are_taken_whole_are_few_and_explained():
    listed = {dep for stage in STAGES for dep in code_of(stage)}
    assert set(TAKEN_WHOLE) <= listed
    assert all(len(reason) > 20 for reason in TAKEN_WHOLE.values())
    assert len(TAKEN_WHOLE) <= 8


def code_of(stage: str) -> list[str]:
    return [dep for dep in STAGES[stage].get("deps", []) if dep.startswith(("src/", "stages/"))]


def covers(dep: str, file: str) -> bool:
    return file == dep or file.startswith(f"{dep}/")


@pytest.mark.parametrize("stage", STAGES)
def test_declared_parameters_are_those_that_the_script_reads(stage):
    """As the script reads them, and as the type of its inputs says."""
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
    used = sorted(f"environment.{group}" for group in libraries(script_of(stage)))
    declared = [g for g in STAGES[stage].get("params", []) if g.startswith("environment.")]
    assert declared == used, f"{stage}: declare {', '.join(used)}"


def declared_parameters(stage: str) -> set[str]:
    """What dvc.yaml lists, without the matrix items, what groups share, and the libraries."""
    groups = {g.split(".${")[0] for g in STAGES[stage].get("params", [])}
    groups = {g for g in groups if not g.endswith(".common") and not g.startswith("environment.")}
    return {g for g in groups if not any(g != other and _within(g, other) for other in groups)}


def inputs_of(script: Path) -> type:
    """The class X of `main(stage: Stage[X])`, found without importing the script."""
    tree = ast.parse(script.read_text())
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
    paths = _leaves(load_params(ROOT / "params.yaml"))
    early = numerics.mode(ROOT / "params.yaml")  # before any library, from the text of the file
    assert early == load_params(ROOT / "params.yaml").runtime.numerics
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
    readers: dict[str, list[Path]] = {}  # by declared group
    for stage in STAGES:
        files = [script_of(stage), *(ROOT / file for file in closure(script_of(stage)) if file.endswith(".py"))]
        for group in declared_parameters(stage):
            readers.setdefault(group, []).extend(files)
    cells = {cell for stage in STAGES.values() for axis in stage.get("matrix", {}).values() for cell in axis}
    everywhere = {chain for module in modules() for chain in _attributes(module)}
    found = []
    for path in paths:
        files = {file for group, files in readers.items() if _within(path, group) for file in files}
        if files:
            *_, group, name = ["", *path.split(".")]
            known = {name, f"**{group}"} & (cells | {name for file in files for name in names_in(file)})
        else:
            known = any(chain.endswith(f".{path}") for chain in everywhere)
        found += [] if known else [path]
    return found


@functools.cache
def names_in(file: Path) -> set[str]:
    """The names of attributes, strings that can be a key, and `**text` of a call `f(**settings.text.model_dump())`."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    dumped = {ast.unparse(node.value) for node in nodes if isinstance(node, ast.keyword) and node.arg is None}
    names |= {f"**{text.split('.')[-2]}" for text in dumped if text.endswith(".model_dump()")}
    return names | {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _attributes(file: Path) -> Iterator[str]:
    """The dotted chains of attributes in a file, `params.report.comparable`."""
    return (ast.unparse(node) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute))


def _leaves(group: Group, prefix: str = "") -> Iterator[str]:
    for name, value in group:
        if isinstance(value, Group):
            yield from _leaves(value, f"{prefix}{name}.")
        elif not isinstance(value, dict):
            yield prefix + name


def _at(path: str) -> Any:
    return functools.reduce(
        lambda group, name: getattr(group, name, None), path.split("."), load_params(ROOT / "params.yaml")
    )


def _values(family: Family) -> set[str]:
    """The members of a family that are single values, which share nothing."""
    return set(type(family).model_fields) - family.groups().keys() | {"common"}


def test_only_scripts_read_the_parameters_of_the_study():
    """Functions of the package get the groups they need, so that a script shows what its stage depends on."""
    readers = {relative(m) for m in modules() if parameters_read(m)}
    assert readers <= {"src/difflab/core/base/stage.py", "src/difflab/core/tracking.py"}


def parameters_read(file: Path) -> set[str]:
    """Dotted chains behind `stage.params`, or behind a name that stands for it or for a group in the same function.

    A group that is handed on whole is read whole.
    """
    chains: set[str] = set()
    whole: set[str] = set()
    tree = ast.parse(file.read_text())
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


@pytest.mark.parametrize("stage", STAGES)
def test_metrics_and_only_metrics_stay_in_git(stage):
    for entry in STAGES[stage].get("metrics", []):
        ((path, options),) = entry.items()
        assert path.startswith("metrics/")
        assert options == {"cache": False}
    for entry in STAGES[stage].get("outs", []):
        assert isinstance(entry, str) or entry == REPORT, (
            "a plain output with options (persist, cache: false) loses the run cache"
        )


def test_no_working_directory_is_changed():
    assert not [name for name, stage in STAGES.items() if "wdir" in stage or "always_changed" in stage]


def test_no_output_is_a_folder_of_many_files(locked):
    counts = {o["path"]: o.get("nfiles", 1) for s in locked.values() for o in s.get("outs", [])}
    assert {path: n for path, n in counts.items() if n > MAX_FILES} == {}


def test_the_lock_holds_the_cells_of_this_pipeline_alone(locked):
    assert sorted(locked) == sorted(addresses(str(ROOT / "dvc.yaml")))


def test_the_lock_is_short():
    """DVC reads it again for each stage."""
    assert (ROOT / "dvc.lock").stat().st_size <= 220_000


@pytest.fixture(scope="module")
def locked() -> dict[str, Any]:
    """The stages of dvc.lock."""
    lock = ROOT / "dvc.lock"
    if not lock.exists():
        pytest.skip("the study has not run yet: no dvc.lock")
    return yaml.safe_load(lock.read_text())["stages"]


def test_the_package_never_imports_stages():
    names = {n for m in modules() for n in ast.walk(ast.parse(m.read_text()))}
    roots = {a.name.split(".")[0] for n in names if isinstance(n, ast.Import) for a in n.names}
    roots |= {n.module.split(".")[0] for n in names if isinstance(n, ast.ImportFrom)}
    assert "stages" not in roots


def test_params_yaml_is_what_conf_composes(root):
    committed = (root / "params.yaml").read_text()
    composed = compose(conf=root / "conf")
    assert composed == committed, "run `difflab compose`:\n" + difference(composed, committed)


def test_composition_is_that_of_dvc(root, tmp_path):
    """Byte for byte what `dvc exp run -S` would write."""
    from dvc.utils.hydra import compose_and_dump

    overrides = ["profile=smoke", "logit_mean.minus=-0.75", "ddpm.text.training.weight_decay=0.1"]
    output = tmp_path / "params.yaml"
    compose_and_dump(output, str(root / "conf"), None, "config", str(root / "conf"), list(overrides))
    assert compose(overrides, root / "conf") == output.read_text()


@pytest.mark.parametrize("profile", choices("profile", ROOT / "conf"))
def test_every_profile_is_valid(profile, root):
    params = validate(compose([f"profile={profile}"], root / "conf"), profile)
    assert params.profile == profile


@pytest.mark.parametrize("experiment", choices("experiment", ROOT / "conf"))
def test_every_experiment_is_valid_and_changes_a_profile(experiment, root):
    changes = []
    for profile in ("tiny", "paper"):
        text = compose([f"profile={profile}", f"experiment={experiment}"], root / "conf")
        validate(text, experiment)
        changes.append(text != compose([f"profile={profile}"], root / "conf"))
    assert any(changes), "an experiment that changes nothing"


@pytest.mark.parametrize("experiment", choices("experiment", ROOT / "conf"))
def test_every_experiment_says_the_command_that_runs_it(experiment, root):
    text = (root / "conf" / "experiment" / f"{experiment}.yaml").read_text()
    assert f"-S experiment={experiment}" in text


@pytest.mark.parametrize("row", ["pretrained", "minus", "zero", "plus"])
def test_every_row_of_the_published_table_stands_in_the_docs(row, root):
    text = (root / "docs" / "experiments.md").read_text()
    published = yaml.safe_load((root / "src/difflab/report/published.yaml").read_text())["fid"]
    mean = {"pretrained": None, "minus": -0.5, "zero": 0.0, "plus": 0.5}[row]
    (fid,) = (one for one in published if one["logit_mean"] == mean)
    (line,) = (line for line in text.splitlines() if f"`{row}_<captions>_fid`" in line)
    assert [cell.strip() for cell in line.split("|")[2:4]] == [str(fid["blip2"]), str(fid["llama3"])]


def test_a_setting_depends_on_the_data_that_it_trains_on():
    """dvc.yaml and the code name the data set of each setting apart."""
    for setting, values in STAGES["ddpm"]["each"].items():
        known = "models/zoo/image_vae" if setting == "latent" else f"data/images/{DATASETS[setting]}"
        assert values == {"data": known}
    assert list(STAGES["ddpm"]["each"]) == STAGES["ddpm_sample"]["matrix"]["setting"] == list(SETTINGS)


def test_no_parameter_can_shorten_the_matrix():
    """DVC deletes the results of a cell that leaves the list. Only the study's design, two words, chooses cells."""
    lists = [axis for s in STAGES.values() for axis in s.get("matrix", {}).values()]
    assert lists
    assert all(isinstance(axis, list) for axis in lists)
    chosen = [cell for axis in lists for cell in axis if "$" in cell]
    assert chosen == ["${trained_on.blip2}", "${trained_on.llama3}"]
    assert [f"{stage}" for stage in addresses(str(ROOT / "dvc.yaml")) if stage.startswith("finetune@")] == [
        f"finetune@{captions}-{mean}" for captions in ("blip2", "llama3") for mean in ("minus", "zero", "plus")
    ]


# Names of groups, of roles, versions and data sets, and terms of the field.
SELF_EXPLAINING = {
    "balance", "maximum", "prompts", "latents", "caption", "blip2", "llama3", "llama", "gemma", "instruct",
    "language", "diffusion", "transformer", "vae", "vision_encoder", "lora", "rank", "dropout", "decoding",
    "guidance_curve", "guidance_scales", "step_curve", "data", "celeba_hq", "denoise", "denoise_score",
    "ddpm_sample", "single_image_64", "finetune", "generate", "images", "minus", "zero", "plus", "prepare",
    "memorisation", "report", "runtime", "score", "miniature", "schedulers", "guidance", "synthesize",
    "tracking", "qformer", "repo_id", "stable-diffusion-2-1", "sd-turbo", "sdxl-turbo", "0",
    "5-large-turbo", "learning_rate", "weight_decay", "layers_per_block", "num_layers",
    "intermediate_size",
}  # fmt: skip


def test_every_parameter_is_explained_once(root):
    """Each name of conf/study has a comment beside it or above it; where it comes again, that is said once for all.

    What the names themselves say (`training`, `seeds`) needs none.
    """
    explained, names = set(), {}
    for file in sorted((root / "conf" / "study").glob("*.yaml")):
        text = file.read_text()
        assert text.startswith("# @package _global_\n"), file.name
        above = False
        for line in text.splitlines()[1:]:
            code, _, comment = line.partition("#")
            keys = re.findall(r"([\w-]+):(?=\s|$)", code)
            if file.name == "environment.yaml":  # one comment for all
                continue
            names |= dict.fromkeys(keys, file.name)
            if comment or above:
                explained |= set(keys)
            above = bool(comment) and not code.strip()
    assert {name: file for name, file in names.items() if name not in explained | SELF_EXPLAINING} == {}

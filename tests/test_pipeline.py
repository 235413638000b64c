"""dvc.yaml says the truth: every stage lists the code and data that it reads, and nothing that it does not."""

import ast
import itertools
from typing import Any

import pytest

from closure import ROOT, STAGES, TAKEN_WHOLE, closure, code_files, modules, relative, script_of, suggestion, syntax
from difflab.cli.changed import CHECK
from difflab.core.params.loading import addresses, axes_of, read_pipeline, read_yaml, stage_entry
from difflab.ddpm.common.settings import DATASETS, SETTINGS
from difflab.sd3.artifacts.cells import CAPTIONS, FINE_TUNED, OWN, PUBLISHED, captions_path

PLOTS = read_pipeline(str(ROOT / "dvc.yaml"))["plots"]
MAX_FILES = 100
REPORT = {"reports/report.md": {"cache": False}}  # read on the web; its stage is too short to miss the run cache


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
    assert len(TAKEN_WHOLE) <= 11


def code_of(stage: str) -> list[str]:
    return [dep for dep in STAGES[stage].get("deps", []) if dep.startswith(("src/", "stages/"))]


def covers(dep: str, file: str) -> bool:
    return file == dep or file.startswith(f"{dep}/")


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
    return read_yaml(lock)["stages"]


def test_the_package_never_imports_stages():
    names = {n for m in modules() for n in ast.walk(syntax(m))}
    roots = {a.name.split(".")[0] for n in names if isinstance(n, ast.Import) for a in n.names}
    roots |= {n.module.split(".")[0] for n in names if isinstance(n, ast.ImportFrom)}
    assert "stages" not in roots


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
    assert chosen == [f"${{trained_on.{kind}}}" for kind in CAPTIONS]
    assert [f"{stage}" for stage in addresses(str(ROOT / "dvc.yaml")) if stage.startswith("finetune@")] == [
        f"finetune@{captions}-{mean}" for captions in PUBLISHED for mean in FINE_TUNED
    ]


def test_every_kind_of_captions_is_written_trained_on_drawn_from_and_shown():
    """dvc.yaml cannot read the list of kinds in difflab.sd3.artifacts.cells."""
    for kind in PUBLISHED:
        assert [f"data/captions/{kind}.parquet"] == STAGES[f"caption_{kind}"]["outs"]
        assert f"metrics/caption_{kind}.json" in STAGES["report"]["deps"]
    for stage in ("cache_prompts", "finetune", "generate", "score"):  # own captions come with the pictures
        assert captions_path(OWN).parent.as_posix() in STAGES[stage]["deps"]
    for kind in CAPTIONS:
        assert f"models/finetune/${{trained_on.{kind}}}-${{item.adapter}}" in STAGES["generate"]["deps"]
    curves = {f"plots/finetune/${{trained_on.{kind}}}-{mean}.csv" for kind in CAPTIONS for mean in FINE_TUNED}
    assert curves <= {*STAGES["report"]["deps"]}
    (drawn,) = (p["SD3 LoRA, held-out loss"] for p in PLOTS if "SD3 LoRA, held-out loss" in p)
    assert {*drawn["y"]} == curves
    assert STAGES["generate"]["matrix"]["adapter"] == list(FINE_TUNED)


def test_every_stage_comes_after_the_check_of_the_parameters():
    """DVC removes what a stage wrote before the stage can refuse a value."""
    cells = {
        (name, *item): stage_entry(name, dict(zip(axes, item, strict=True)), str(ROOT / "dvc.yaml"))
        for name, stage in STAGES.items()
        for axes in [axes_of(stage, str(ROOT / "dvc.yaml"))]
        for item in itertools.product(*axes.values())
    }
    made = {str(out): cell for cell, entry in cells.items() for out in entry.get("outs", [])}
    before = {
        cell: {of for out, of in made.items() for dep in entry["deps"] if covers(dep, out) or covers(out, dep)}
        for cell, entry in cells.items()
    }
    late, after = cells.keys() - {(CHECK,)}, {(CHECK,)}
    while reached := {cell for cell in late if before[cell] & after}:
        late, after = late - reached, after | reached
    assert late == set()

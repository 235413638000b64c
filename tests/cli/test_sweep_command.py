"""`difflab sweep`: presets or the options that are given, one table and one grid."""

import csv
import shutil

import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from difflab.captioning import sweep_cells
from difflab.cli.main import cli
from difflab.cli.sweep_command import Axes, asked, chosen
from difflab.core.base.errors import DifflabError, one_line
from difflab.core.base.files import write_parquet
from difflab.core.params import load_params
from difflab.models.pipelines.prompted import PromptedSampler
from fakes import tiny_pipelines


@pytest.fixture(scope="module")
def settings(root):
    return load_params(root / "params.yaml").sweep


@pytest.fixture
def workspace(tmp_path, root, monkeypatch):
    tiny_pipelines.saved("sd", tmp_path / "models/zoo/diffusion")
    for name in ("dvc.yaml", "conf", "params.yaml"):
        (tmp_path / name).symlink_to(root / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str):
    return CliRunner().invoke(cli, ["sweep", *arguments])


def test_without_anything_every_preset_is_run(settings):
    assert sweep_cells.cells(chosen(settings, [], Axes())) == sweep_cells.cells(settings)


def test_a_preset_keeps_the_axes_that_are_not_given(settings):
    got = chosen(settings, ["guidance"], Axes(schedulers=["euler"], models=["stabilityai/sd-turbo"]))
    (axes,) = got.presets.values()
    assert axes.schedulers == ["euler"]
    assert axes.models == ["sd-turbo"]
    assert axes.guidance_scales == settings.presets["guidance"].guidance_scales


def test_without_a_preset_each_model_keeps_its_own_values_on_the_axes_that_are_not_given(settings):
    got = sweep_cells.cells(chosen(settings, [], Axes(models=["zoo", "sd-turbo"], num_inference_steps=[2, 4])))
    assert [(c.model, c.options.num_inference_steps) for c in got] == [
        ("zoo", 2), ("zoo", 4), ("sd-turbo", 2), ("sd-turbo", 4),
    ]  # fmt: skip
    assert [c.options.guidance_scale for c in got] == [settings.known["zoo"].guidance_scale] * 2 + [1.0] * 2


def test_a_negative_prompt_makes_every_cell_without_and_with_it(settings):
    got = sweep_cells.cells(chosen(settings, [], Axes(negative_prompt="dark")))
    assert [c.options.negative_prompt for c in got] == ["", "dark"]


@pytest.mark.parametrize(
    ("presets", "axes", "match"),
    [
        (["stepz"], Axes(), "unknown preset 'stepz': one of schedulers, guidance, steps, negative"),
        ([], Axes(models=["sd-9"]), "unknown model 'sd-9'"),
        ([], Axes(schedulers=["heun"]), "schedulers.0"),
        ([], Axes(guidance_scales=[1.0, 1.0]), "stands there twice"),
    ],
)
def test_what_is_not_known_is_one_line(settings, presets, axes, match):
    with pytest.raises(DifflabError, match=match):
        chosen(settings, presets, axes)


def test_prompts_are_the_given_ones_or_one_variation_of_each_title(workspace):
    assert asked(["a", "b"], 9) == {"prompt-00000": "a", "prompt-00001": "b"}
    with pytest.raises(DifflabError, match="give prompts with --prompt, or run `dvc repro vary_titles`"):
        asked([], 2)
    rows = [(f"r-{n}", v, f"title {n} {v}") for n in range(3) for v in range(3)]
    write_parquet("data/titles/variations.parquet", pd.DataFrame(rows, columns=["id", "number", "title"]))
    assert asked([], 4) == {"r-0-v0": "title 0 0", "r-1-v0": "title 1 0", "r-2-v0": "title 2 0", "r-0-v1": "title 0 1"}


def test_the_command_writes_a_table_and_a_grid_and_prints_seconds(workspace):
    axes = "--scheduler ddim --scheduler flow-match --num-inference-steps 2 --guidance-scale 1 --guidance-scale 3"
    result = run("--prompt", "three over a cat", "--prompt", "a rocket", *axes.split(), "--out", "made")
    assert result.exit_code == 0, result.output
    with open("made/sweep.csv") as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["scheduler"], r["guidance"]) for r in rows] == [
        ("ddim", "1"), ("ddim", "3"), ("flow-match", "1"), ("flow-match", "3"),
    ]  # fmt: skip
    assert all(float(row["seconds_per_image"]) > 0 for row in rows[:2])
    assert all("straight paths" in row["refused"] and not row["seconds_per_image"] for row in rows[2:])
    assert "| zoo | ddim | 2 | 1 | no |" in result.output
    assert "seconds_per_image" in result.output
    assert result.output.endswith("wrote made/sweep.csv and made/sweep.png, 4 cells of 2 images\n")
    width, height = Image.open("made/sweep.png").size
    assert height == 2 * 66 + 2  # a row for each cell that made images
    assert width > 2 * 66


def test_each_model_is_loaded_once(workspace, monkeypatch):
    loaded = []

    def load_prompted(model, machine, *, seed, batch_size):
        loaded.append(model.distilled)
        kind = "sd3" if model.distilled else "sd"
        return PromptedSampler(
            tiny_pipelines.pipeline(kind), distilled=model.distilled, seed=seed, batch_size=batch_size
        )

    monkeypatch.setattr("difflab.cli.sweep_command.load_prompted", load_prompted)
    models = "--model zoo --model stable-diffusion-3.5-large-turbo --scheduler own"
    axes = "--num-inference-steps 2 --num-inference-steps 3 --guidance-scale 1 --guidance-scale 2"
    result = run("--prompt", "a", *models.split(), *axes.split())
    assert result.exit_code == 0, result.output
    assert loaded == [False, True]
    assert result.output.count("distilled to do without") == 2
    assert "8 cells of 1 images" in result.output


def test_prompts_that_are_too_long_are_told_with_the_model(workspace):
    result = run("--prompt", " ".join(["a"] * 14 + ["cat"]), "--num-inference-steps", "2")
    assert "WARNING: the prompt has 17 tokens, of which the model reads 16: 'cat' is truncated (zoo)" in result.output


def test_without_the_model_the_stage_is_named(workspace):
    shutil.rmtree("models/zoo/diffusion")
    assert "run `dvc repro zoo_diffusion`" in one_line(run("--prompt", "a").exception)

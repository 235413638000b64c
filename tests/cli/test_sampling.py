"""`difflab generate` and `difflab sweep`: pictures, their noise that of the seed, and one line for what cannot be."""

import csv
import shutil

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from difflab.captioning import sweep_cells
from difflab.cli import sampling
from difflab.cli.main import cli
from difflab.cli.sampling import Request, asked, chosen, generate
from difflab.core.base.errors import DifflabError, one_line
from difflab.core.base.files import write_parquet
from difflab.core.params import load_params
from difflab.models.known.pipelines import known_pipelines
from difflab.models.pipelines.prompted import Options, PromptedSampler
from fakes import tiny_pipelines


@pytest.fixture(scope="module")
def params(root):
    return load_params(root / "params.yaml")


@pytest.fixture(scope="module")
def settings(params):
    return params.sweep


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return tiny_pipelines.saved("sd", tmp_path_factory.mktemp("zoo") / "diffusion")


@pytest.fixture
def workspace(tmp_path, trained, root, monkeypatch):
    """A repository whose models/zoo/diffusion is a tiny pipeline."""
    shutil.copytree(trained, tmp_path / "models/zoo/diffusion")
    for name in ("dvc.yaml", "conf", "params.yaml"):
        (tmp_path / name).symlink_to(root / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str):
    return CliRunner().invoke(cli, ["generate", *arguments])


def run_sweep(*arguments: str):
    return CliRunner().invoke(cli, ["sweep", *arguments])


def test_the_picture_is_that_of_the_sampler(workspace, trained):
    options = "--negative-prompt dark --scheduler ddim --guidance-scale 2 --num-inference-steps 3 --seed 5"
    result = run("--prompt", "three over a cat", *options.split(), "--out", "a/three.png")
    assert result.exit_code == 0, result.output
    assert result.output == "wrote a/three.png, 16 x 16 pixels by zoo (ddim, 3 steps, guidance 2, seed 5)\n"
    sampler = PromptedSampler(tiny_pipelines.pipeline("sd"), distilled=False, seed=5, batch_size=1)
    (expected,) = sampler.images(["prompt-00000"], ["three over a cat"], Options("ddim", 3, 2.0, "dark"))
    assert np.array_equal(np.asarray(Image.open("a/three.png")), expected[0])


def test_what_is_left_open_is_taken_from_the_model(workspace, params):
    zoo = known_pipelines()["zoo"]
    result = run("--prompt", "a rocket", "--out", "rocket.png")
    made = f"{zoo.scheduler}, {zoo.num_inference_steps} steps, guidance {zoo.guidance_scale:g}, seed 0"
    assert f"by zoo ({made})" in result.output


def test_another_seed_is_another_picture_and_the_same_seed_the_same_bytes(workspace):
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        run("--prompt", "a rocket", "--num-inference-steps", "2", "--seed", seed, "--out", f"{name}.png")
    first, again, other = ((workspace / f"{name}.png").read_bytes() for name in "abc")
    assert first == again
    assert first != other


def test_a_too_long_prompt_is_told_and_made(workspace):
    result = run("--prompt", " ".join(["a"] * 14 + ["cat"]), "--num-inference-steps", "2")
    assert result.exit_code == 0
    assert "WARNING: the prompt has 17 tokens, of which the model reads 16: 'cat' is truncated" in result.stderr
    assert "WARNING" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompt", " "], "a prompt is empty"),
        (["--prompt", "a", "--out", "a.jpg"], "--out a.jpg must end with .png"),
        (["--prompt", "a", "--model", "sd-9"], "unknown model 'sd-9': one of zoo, stable-diffusion-2-1"),
        (["--prompt", "a", "--scheduler", "heun"], "unknown scheduler 'heun': one of own, ddpm"),
        (["--prompt", "a", "--scheduler", "flow-match"], "zoo cannot take flow-match: the model was not trained on"),
        (["--prompt", "a", "--guidance-scale", "0"], "zoo cannot take guidance 0: the least is 1"),
        (["--prompt", "a", "--num-inference-steps", "2000"], "zoo cannot take 2000 steps"),
        (
            ["--prompt", "a", "--model", "sd-turbo"],
            "stabilityai/sd-turbo@b261bac6fd2c is not in the Hugging Face cache",
        ),
    ],
)
def test_what_cannot_be_is_one_line(workspace, monkeypatch, tmp_path, arguments, message):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    result = run(*arguments)
    assert result.exit_code == 1
    assert message in one_line(result.exception)
    assert not (workspace / "generated.png").exists()


def test_without_the_model_the_stage_is_named(workspace):
    shutil.rmtree("models/zoo/diffusion")
    assert "run `dvc repro zoo_diffusion`" in one_line(run("--prompt", "a").exception)


def test_turbo_models_go_without_guidance_by_repository_name(workspace, params, trained, monkeypatch):
    """A released model is fetched; here a tiny pipeline stands for it."""
    fetched = []
    monkeypatch.setattr("difflab.models.pipelines.prompted.fetch", lambda hub: fetched.append(hub) or trained)
    result = run("--prompt", "a cat", "--model", "stabilityai/sd-turbo")
    assert "by sd-turbo (own, 1 steps, guidance 1, seed 0)" in result.output
    assert fetched == [known_pipelines()["sd-turbo"].hub]
    for option, reason in (("--guidance-scale=7.5", "guidance 7.5"), ("--negative-prompt=dark", "a negative prompt")):
        error = one_line(run("--prompt", "a", "--model", "sd-turbo", option).exception)
        assert error.startswith(f"sd-turbo cannot take {reason}")
    assert len(fetched) == 1  # what it cannot take is said before anything is fetched


@pytest.mark.parametrize("kind", ["sdxl", "sd3"])
def test_every_kind_of_model_makes_a_picture(kind, params, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "difflab.models.pipelines.prompted.fetch", lambda hub: tiny_pipelines.saved(kind, tmp_path / kind)
    )
    name = {"sdxl": "stable-diffusion-xl-base-1.0", "sd3": "stable-diffusion-3.5-medium"}[kind]
    request = Request("a cat", name, num_inference_steps=2)
    (line,) = generate(request, tmp_path / "a.png", known_pipelines(), params.runtime)
    assert f"16 x 16 pixels by {name}" in line


def test_every_known_model_is_pinned_and_told_apart(params):
    known = known_pipelines()
    assert [name for name, model in known.items() if model.hub is None] == ["zoo"]
    assert all(len(model.hub.revision) == 40 for model in known.values() if model.hub)
    assert {name for name, model in known.items() if model.distilled} == {n for n in known if "turbo" in n}
    assert all(model.guidance_scale == 1 for model in known.values() if model.distilled)
    assert all(model.hub.repo_id.endswith(f"/{name}") for name, model in known.items() if model.hub)


def test_an_unknown_name_is_refused_before_anything_is_loaded(params, tmp_path, monkeypatch):
    monkeypatch.setattr(sampling, "load_prompted", lambda *args, **kwargs: pytest.fail("loaded"))
    with pytest.raises(DifflabError, match="unknown model"):
        generate(Request("a", "nope"), tmp_path / "a.png", known_pipelines(), params.runtime)


def test_nothing_is_replaced_but_a_picture(workspace, tmp_path):
    folder = tmp_path / "mine.png"
    folder.mkdir()
    (folder / "thesis.txt").write_text("precious")
    for out, reason in (
        (folder, "is a folder"),
        (folder / "thesis.txt" / "a.png", "cannot be written"),
        (tmp_path / f"{'a' * 300}.png", "cannot be written"),
    ):
        assert reason in one_line(run("--prompt", "a", "--out", str(out)).exception)
    assert (folder / "thesis.txt").read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("option", ["--out", "--model", "--base", "--scheduler"])
def test_an_empty_name_is_refused(option):
    """As of a variable of the shell that is not set."""
    result = run("--prompt", "a", option, "")
    assert result.exit_code == 2
    assert f"Invalid value for '{option}': it is empty" in result.output


@pytest.mark.parametrize("scale", ["nan", "inf", "101", "1e30"])
def test_a_guidance_scale_that_no_parameter_takes_is_refused(workspace, scale):
    assert "not a valid guidance scale" in one_line(run("--prompt", "a", "--guidance-scale", scale).exception)


def test_without_anything_every_preset_is_run(settings):
    assert sweep_cells.cells(chosen(settings, [], {})) == sweep_cells.cells(settings)


def test_a_preset_keeps_the_axes_that_are_not_given(settings):
    got = chosen(settings, ["guidance"], dict(schedulers=["euler"], models=["stabilityai/sd-turbo"]))
    (axes,) = got.presets.values()
    assert axes.schedulers == ["euler"]
    assert axes.models == ["sd-turbo"]
    assert axes.guidance_scales == settings.presets["guidance"].guidance_scales


def test_without_a_preset_each_model_keeps_its_own_values_on_the_axes_that_are_not_given(settings):
    got = sweep_cells.cells(chosen(settings, [], dict(models=["zoo", "sd-turbo"], num_inference_steps=[2, 4])))
    assert [(c.model, c.options.num_inference_steps) for c in got] == [
        ("zoo", 2), ("zoo", 4), ("sd-turbo", 2), ("sd-turbo", 4),
    ]  # fmt: skip
    assert [c.options.guidance_scale for c in got] == [known_pipelines()["zoo"].guidance_scale] * 2 + [1.0] * 2


def test_a_negative_prompt_makes_every_cell_without_and_with_it(settings):
    got = sweep_cells.cells(chosen(settings, [], {}, "dark"))
    assert [c.options.negative_prompt for c in got] == ["", "dark"]


@pytest.mark.parametrize(
    ("presets", "axes", "match"),
    [
        (["stepz"], {}, "unknown preset 'stepz': one of schedulers, guidance, steps, negative"),
        ([], dict(models=["sd-9"]), "unknown model 'sd-9'"),
        ([], dict(schedulers=["heun"]), "schedulers.0"),
        ([], dict(guidance_scales=[1.0, 1.0]), "is listed twice"),
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
    result = run_sweep("--prompt", "three over a cat", "--prompt", "a rocket", *axes.split(), "--out", "made")
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

    def load_prompted(model, machine, *, seed, batch_size, **memory):
        loaded.append(model.distilled)
        kind = "sd3" if model.distilled else "sd"
        return PromptedSampler(
            tiny_pipelines.pipeline(kind), distilled=model.distilled, seed=seed, batch_size=batch_size
        )

    monkeypatch.setattr("difflab.cli.sampling.load_prompted", load_prompted)
    models = "--model zoo --model stable-diffusion-3.5-large-turbo --scheduler own"
    axes = "--num-inference-steps 2 --num-inference-steps 3 --guidance-scale 1 --guidance-scale 2"
    result = run_sweep("--prompt", "a", *models.split(), *axes.split())
    assert result.exit_code == 0, result.output
    assert loaded == [False, True]
    assert result.output.count("distilled to do without") == 2
    assert "8 cells of 1 images" in result.output


def test_prompts_that_are_too_long_are_told_with_the_model(workspace):
    result = run_sweep("--prompt", " ".join(["a"] * 14 + ["cat"]), "--num-inference-steps", "2")
    assert "WARNING: the prompt has 17 tokens, of which the model reads 16: 'cat' is truncated (zoo)" in result.output


def test_a_sweep_without_the_model_names_the_stage(workspace):
    shutil.rmtree("models/zoo/diffusion")
    assert "run `dvc repro zoo_diffusion`" in one_line(run_sweep("--prompt", "a").exception)

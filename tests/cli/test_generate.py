"""`difflab generate`: one picture, its noise that of the seed, and one line for everything that cannot be."""

import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from difflab.cli import generate as app
from difflab.cli.generate import Request, generate
from difflab.cli.main import cli
from difflab.core.base.errors import DifflabError, one_line
from difflab.core.params import load_params
from difflab.models.pipelines.prompted import Options, PromptedSampler
from fakes import tiny_pipelines


@pytest.fixture(scope="module")
def params(root):
    return load_params(root / "params.yaml")


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


def test_the_picture_is_that_of_the_sampler(workspace, trained):
    options = "--negative-prompt dark --scheduler ddim --guidance-scale 2 --num-inference-steps 3 --seed 5"
    result = run("--prompt", "three over a cat", *options.split(), "--out", "a/three.png")
    assert result.exit_code == 0, result.output
    assert result.output == "wrote a/three.png, 16 x 16 pixels by zoo (ddim, 3 steps, guidance 2, seed 5)\n"
    sampler = PromptedSampler(tiny_pipelines.pipeline("sd"), distilled=False, seed=5, batch_size=1)
    (expected,) = sampler.images(["prompt-00000"], ["three over a cat"], Options("ddim", 3, 2.0, "dark"))
    assert np.array_equal(np.asarray(Image.open("a/three.png")), expected[0])


def test_what_is_left_open_is_taken_from_the_model(workspace, params):
    zoo = params.sweep.known["zoo"]
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
        (["--prompt", " "], "the prompt is empty"),
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
    monkeypatch.setattr("difflab.models.pipelines.known.fetch", lambda hub: fetched.append(hub) or trained)
    result = run("--prompt", "a cat", "--model", "stabilityai/sd-turbo")
    assert "by sd-turbo (own, 1 steps, guidance 1, seed 0)" in result.output
    assert fetched == [params.sweep.known["sd-turbo"].hub]
    for option, reason in (("--guidance-scale=7.5", "guidance 7.5"), ("--negative-prompt=dark", "a negative prompt")):
        error = one_line(run("--prompt", "a", "--model", "sd-turbo", option).exception)
        assert error.startswith(f"sd-turbo cannot take {reason}")
    assert len(fetched) == 1  # what it cannot take is said before anything is fetched


@pytest.mark.parametrize("kind", ["sdxl", "sd3"])
def test_every_kind_of_model_makes_a_picture(kind, params, tmp_path, monkeypatch):
    monkeypatch.setattr("difflab.models.pipelines.known.fetch", lambda hub: tiny_pipelines.saved(kind, tmp_path / kind))
    name = {"sdxl": "stable-diffusion-xl-base-1.0", "sd3": "stable-diffusion-3.5-medium"}[kind]
    request = Request("a cat", name, num_inference_steps=2)
    (line,) = generate(request, tmp_path / "a.png", params.sweep.known, params.runtime, progress=False)
    assert f"16 x 16 pixels by {name}" in line


def test_every_known_model_is_pinned_and_told_apart(params):
    known = params.sweep.known
    assert [name for name, model in known.items() if model.hub is None] == ["zoo"]
    assert all(len(model.hub.revision) == 40 for model in known.values() if model.hub)
    assert {name for name, model in known.items() if model.distilled} == {n for n in known if "turbo" in n}
    assert all(model.guidance_scale == 1 for model in known.values() if model.distilled)
    assert all(model.hub.repo_id.endswith(f"/{name}") for name, model in known.items() if model.hub)


def test_an_unknown_name_is_refused_before_anything_is_loaded(params, tmp_path, monkeypatch):
    monkeypatch.setattr(app, "load_prompted", lambda *args, **kwargs: pytest.fail("loaded"))
    with pytest.raises(DifflabError, match="unknown model"):
        generate(Request("a", "nope"), tmp_path / "a.png", params.sweep.known, params.runtime, progress=False)


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


@pytest.mark.parametrize("scale", ["nan", "inf"])
def test_a_guidance_scale_that_is_not_finite_is_refused(workspace, scale):
    assert "not a valid guidance scale" in one_line(run("--prompt", "a", "--guidance-scale", scale).exception)

"""`difflab export`, `merge` and `generate --model ADAPTER`, and the commands and lines of docs/export.md as they stand."""

import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from diffusers import StableDiffusion3Pipeline
from PIL import Image
from safetensors import SafetensorError

from difflab.models.adapters.reading import read_adapter
from difflab.sd3.artifacts.adapters import load_adapter
from difflab.sd3.pipeline import study_components, study_pipeline
from fakes import adapters
from fakes.commands import error, run

CELL, PROMPT = "models/finetune/blip2-zero", "three over a cat"


def blocks(root, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (root / "docs/export.md").read_text(), re.MULTILINE | re.DOTALL)


def test_the_six_commands_of_the_page(sd3_workspace, root):
    (commands,) = blocks(root, "bash")
    assert len(commands.splitlines()) == 6
    for command in commands.splitlines():
        program, *arguments = shlex.split(command)
        assert program == "difflab"
        assert run(*arguments).startswith("wrote exports/")
    sheet = Image.open("exports/sheet.png")
    assert sheet.width > 3 * 128  # base and two adapters
    assert (sd3_workspace / "exports/back/README.md").exists()
    assert {"model_index.json", "README.md"} <= {path.name for path in (sd3_workspace / "exports/merged").iterdir()}
    back, first = read_adapter(sd3_workspace / "exports/back"), read_adapter(sd3_workspace / CELL)
    assert back.facts["base"] == first.facts["base"]


def test_the_lines_of_the_page_in_a_clean_process_make_the_picture_of_the_study(sd3_workspace, root):
    """By diffusers' own loader; beside it the study's way, which puts the adapter on by PEFT."""
    run("merge", "--out", "exports/sd3")
    (lines,) = blocks(root, "python")
    assert lines in (root / "README.md").read_text()
    lines = lines.replace("**options)", "output_type='np', **options)").replace('image.save("exports/three.png")\n', "")
    script = f"import torch, numpy\ntorch.manual_seed(0)\n{lines}\nnumpy.save('image.npy', image)\n"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    pipeline = study_pipeline()
    load_adapter(pipeline.transformer, sd3_workspace / CELL / "seed-0", study_components())
    torch.manual_seed(0)
    options = {"num_inference_steps": 8, "guidance_scale": 2.5, "max_sequence_length": 13, "output_type": "np"}
    expected = pipeline("a handwritten three over a photo of coffee", **options).images[0]
    assert abs(np.load("image.npy") - expected).max() < 1e-4


def test_a_merged_pipeline_makes_the_pictures_of_the_adapter(sd3_workspace):
    run("merge", CELL, "--out", "merged")
    run("generate", "--model", CELL, "--prompt", PROMPT, "--out", "adapter.png")
    merged = StableDiffusion3Pipeline.from_pretrained("merged")
    pipeline = study_pipeline()
    load_adapter(pipeline.transformer, sd3_workspace / CELL / "seed-0", study_components())
    first, second = (adapters.picture(p, max_sequence_length=13) for p in (merged, pipeline))
    assert abs(first - second).max() < 1e-5
    assert Image.open("adapter.png").size == (16, 16)


def test_side_by_side_the_base_comes_first_and_each_is_as_alone(sd3_workspace):
    other = "models/finetune/llama3-zero"
    told = run("generate", "--model", CELL, "--model", other, "--prompt", PROMPT, "--out", "sheet.png")
    assert (
        "base, blip2-zero-seed-0, llama3-zero-seed-0 from the same noise (own, 8 steps, guidance 2.5, seed 0)" in told
    )
    run("generate", "--model", CELL, "--prompt", PROMPT, "--out", "alone.png")
    sheet, alone = (np.asarray(Image.open(name)) for name in ("sheet.png", "alone.png"))
    second = (
        Image.fromarray(sheet).crop((6 + 134, 6, 6 + 134 + 128, 6 + 128)).resize((16, 16), Image.Resampling.NEAREST)
    )
    assert np.array_equal(np.asarray(second), alone)


def test_an_adapter_of_a_unet_and_its_text_encoder(sd3_workspace):
    assert "wrote cat.safetensors" in run("export", "models/personal/cat", "--to", "kohya", "--out", "cat.safetensors")
    told = run("generate", "--model", "cat.safetensors", "--prompt", PROMPT, "--num-inference-steps", "2")
    assert "16 x 16 pixels by cat (ddpm, 2 steps" in told
    run(
        "generate", "--model", "models/personal/cat", "--prompt", PROMPT, "--num-inference-steps", "2", "--out", "b.png"
    )
    first, second = (np.asarray(Image.open(name)).astype(int) for name in ("generated.png", "b.png"))
    assert abs(first - second).max() <= 1
    assert "wrote exports/cat-merged" in run("merge", "models/personal/cat")


def test_an_adapter_of_another_base(sd3_workspace):
    other = adapters.base("sd3")
    other.transformer.pos_embed.proj.weight.add_(1.0)
    other.save_pretrained("other")
    assert "was trained on another base" in error("export", CELL, "--to", "peft", "--base", "other")
    assert "is an adapter of a unet" in error("merge", "models/personal/cat", "--base", "sd3")
    path = adapters.study_adapter(sd3_workspace / "elsewhere", study_pipeline().transformer, adapters.COMPONENTS)
    assert "was trained with another autoencoder" in error("export", str(path), "--to", "peft")
    assert not (sd3_workspace / "exports").exists()


def test_a_zoo_without_its_parts(sd3_workspace):
    shutil.rmtree("models/zoo/text")
    assert "run `dvc repro zoo_text`" in error("export", CELL, "--to", "peft")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", CELL, "--to", "comfy"], "one of diffusers, peft, kohya, comfyui, onnx; did you mean 'comfyui'"),
        (["export", "models/zoo/vae", "--to", "peft"], "models/zoo/vae holds no adapter"),
        (["export", "params.yaml", "--to", "peft"], "unreadable: params.yaml"),
        (["export", "nowhere", "--to", "peft"], "nowhere does not exist"),
        (["export", CELL, "--to", "peft", "--out", "models"], "models exists already"),
        (["export", CELL, "--to", "peft", "--out", "a.safetensors"], "PEFT reads a folder"),
        (["export", CELL, "--to", "peft", "--out", "params.yaml/a"], "params.yaml"),
        (["export", CELL, "--to", "peft", "--base", "zo"], "unknown base 'zo': one of sd3, zoo"),
        (["merge", CELL, "--out", "models"], "models exists already"),
        (["merge", "models/zoo/vae"], "models/zoo/vae holds no adapter"),
        (["generate", "--prompt", "a", "--model", "models/finetune/blip2-zro"], f"did you mean '{CELL}'"),
        (["generate", "--prompt", "a", "--model", CELL, "--model", "zoo"], "zoo is a whole model: the base of an adapter"),
        (["generate", "--prompt", "a", "--model", "sd-turbo", "--model", "zoo"], "`difflab sweep` takes several"),
        (["generate", "--prompt", "a", "--base", "sd3"], "--base is the base of an adapter"),
        (["generate", "--prompt", "a", "--model", CELL, "--model", "models/personal/cat"], "of a transformer and of a"),
        (["generate", "--prompt", "a", "--model", CELL, "--scheduler", "ddim"], "cannot take ddim: a flow model"),
        (["generate", "--prompt", " ", "--model", CELL], "a prompt is empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(sd3_workspace, arguments, words):
    assert words in error(*arguments)
    assert not (sd3_workspace / "generated.png").exists()


@pytest.mark.parametrize("command", [["export", CELL, "--to", "kohya"], ["merge", CELL]])
def test_a_full_disk_leaves_nothing(sd3_workspace, monkeypatch, command):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    monkeypatch.setattr("diffusers.DiffusionPipeline.save_pretrained", full)
    assert "the disk is full while writing exports/" in error(*command, "--out", "exports/new")
    assert list((sd3_workspace / "exports").iterdir()) == []


def test_a_full_disk_is_told_where_safetensors_hides_it(sd3_workspace, monkeypatch):
    def full(*_, **__):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("diffusers.DiffusionPipeline.save_pretrained", full)
    assert "the disk is full while writing exports/new" in error("merge", CELL, "--out", "exports/new")
    assert list((sd3_workspace / "exports").iterdir()) == []

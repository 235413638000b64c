"""What each method of the few-image study leaves, read by other programs: it makes the pictures of the training itself."""

import copy
import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from difflab.cli.main import cli
from difflab.core.base import roles
from difflab.models.adapters.reading import read_trained
from difflab.models.pipelines.prompted import load_pipeline
from difflab.personal import methods
from difflab.personal.base import Base
from difflab.personal.params import PersonalLoraParams
from difflab.personal.words import Words
from fakes import adapters, comfyui, tiny_pipelines
from fakes.commands import error, run

ZOO, WORDS = Path("models/zoo/diffusion"), Words("sks", "cat")
LORA = PersonalLoraParams(rank=2, alpha=3.0, targets=["to_q", "to_v", "ff.net.2"], text_targets=["q_proj", "out_proj"])
TRAININGS = {
    method: f"models/personal/{method}_none-9-tom-0" for method in ("lora", "lora_text", "full", "textual_inversion")
}
PROMPTS = {
    method: f"a {WORDS.learned if method == 'textual_inversion' else WORDS.instance} over coffee"
    for method in TRAININGS
}


def picture(pipeline, prompt):
    """float32 [16, 16, 3] in 0 to 1; the clean process runs these very lines."""
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(prompt, num_inference_steps=2, output_type="np", generator=torch.Generator().manual_seed(0))
    return made.images[0]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A repository with a tiny base and a training of every method, and the pictures of each by what was trained."""
    folder, pictures = tmp_path_factory.mktemp("made"), {}
    tiny_pipelines.saved("sd", folder / ZOO)
    for method, name in TRAININGS.items():
        base = Base(load_pipeline(folder / ZOO))
        trained = methods.prepare(base, method, LORA, WORDS, seed=0)
        adapters.shake(trained)
        with torch.no_grad():
            for parameter in trained.parameters():
                if parameter.requires_grad and method in ("full", "textual_inversion"):
                    parameter.mul_(1.3)
            pictures[method] = picture(base.pipeline, PROMPTS[method])
        methods.save(folder / name, base, method, LORA, WORDS, roles.fingerprint(folder / ZOO))
    return folder, pictures


@pytest.fixture
def workspace(tmp_path, made, root, monkeypatch):
    shutil.copytree(made[0] / "models", tmp_path / "models")
    for name in ("dvc.yaml", "conf", "params.yaml"):
        (tmp_path / name).symlink_to(root / name)
    monkeypatch.chdir(tmp_path)
    return made[1]


def test_diffusers_makes_their_pictures_in_a_clean_process(workspace):
    """By its own loaders of adapters, embeddings and pipelines."""
    assert "layers, rank 2" in run("export", TRAININGS["lora"], "--to", "diffusers", "--out", "exports/lora")
    run("export", TRAININGS["lora_text"], "--to", "kohya", "--out", "exports/lora_text.safetensors")
    told = run("export", TRAININGS["textual_inversion"], "--to", "diffusers", "--out", "exports/token")
    assert "the token <sks> of 1 vector" in told
    run("export", TRAININGS["textual_inversion"], "--to", "comfyui", "--out", "exports/sks.safetensors")
    assert "the whole unet" in run("merge", TRAININGS["full"], "--out", "exports/full")
    run("merge", TRAININGS["textual_inversion"], "--out", "exports/with_token")
    script = f"""
import numpy, torch
from diffusers import StableDiffusionPipeline
{inspect.getsource(picture)}
def base(folder="{ZOO}"):
    return StableDiffusionPipeline.from_pretrained(folder)
lora, text, token, word = base(), base(), base(), base()
lora.load_lora_weights("exports/lora")
text.load_lora_weights("exports/lora_text.safetensors")
token.load_textual_inversion("exports/token")
word.load_textual_inversion("exports/sks.safetensors", token="<sks>")
loaded = {{"lora": lora, "lora_text": text, "textual_inversion": token, "word": word, "full": base("exports/full"),
          "merged_token": base("exports/with_token")}}
prompts = {PROMPTS!r}
prompts |= {{"word": prompts["textual_inversion"], "merged_token": prompts["textual_inversion"]}}
numpy.savez("pictures.npz", **{{name: picture(pipeline, prompts[name]) for name, pipeline in loaded.items()}})
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    found = np.load("pictures.npz")
    same = {"word": "textual_inversion", "merged_token": "textual_inversion"}
    for name in found.files:
        assert abs(found[name] - workspace[same.get(name, name)]).max() < 1e-4, name
    plain = picture(load_pipeline(ZOO), PROMPTS["lora"])
    assert abs(plain - workspace["lora"]).max() > 1e-2, "the adapter must matter"


@pytest.mark.parametrize("method", ["lora", "lora_text"])
def test_comfyui_gets_their_weights(workspace, method):
    run("export", TRAININGS[method], "--to", "comfyui", "--out", "tom.safetensors")
    run("merge", TRAININGS[method], "--out", "merged")
    pipeline, merged = load_pipeline(ZOO), load_pipeline(Path("merged"))
    patched, left = comfyui.patched(weights(pipeline), comfyui.unet_keys(pipeline), load_file("tom.safetensors"))
    assert not left
    for name, tensor in weights(merged).items():
        assert torch.allclose(patched[name], tensor, rtol=0, atol=1e-5), name


def weights(pipeline) -> dict[str, torch.Tensor]:
    parts = {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}
    return {f"{part}.{name}": p.detach() for part, model in parts.items() for name, p in model.named_parameters()}


def test_side_by_side_whatever_was_trained(workspace):
    """Base, adapter, network and token from one noise; a prompt without the token says so."""
    models = [part for name in TRAININGS.values() for part in ("--model", name)]
    result = CliRunner().invoke(cli, ["generate", *models, "--prompt", PROMPTS["lora"], "--out", "sheet.png"])
    assert (
        "base, lora_none-9-tom-0, lora_text_none-9-tom-0, full_none-9-tom-0, textual_inversion_none-9-tom-0"
        in result.output
    )
    assert "WARNING: the prompt lacks <sks>, which textual_inversion_none-9-tom-0 gives a meaning to" in result.output


def test_the_card_says_how_it_was_trained(workspace):
    run("export", TRAININGS["lora"], "--to", "kohya", "--out", "card")
    card = Path("card/README.md").read_text()
    for line in ("| method | LoRA |", "| prior | no prior |", "| subject | tom |", "| pictures | 9 |", "| rank | 2 |"):
        assert line in card
    header = read_trained(Path("card")).header
    assert header["ss_max_train_steps"].isdecimal()


def test_what_cannot_be_is_one_line(workspace):
    assert "is a whole unet, not an adapter: `difflab merge`" in error("export", TRAININGS["full"], "--to", "kohya")
    assert "PEFT has no file for" in error("export", TRAININGS["textual_inversion"], "--to", "peft")
    other = adapters.base("sd")
    with torch.no_grad():
        other.unet.conv_in.weight.mul_(2)
    other.tokenizer = copy.deepcopy(other.tokenizer)
    other.save_pretrained("other")
    assert "was trained on another base" in error(
        "export", TRAININGS["textual_inversion"], "--to", "kohya", "--base", "other"
    )
    assert not Path("exports").exists()

"""Models of transformers and diffusers come whole from their folder, or are refused in one line."""

import shutil

import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from transformers import ViTConfig, ViTModel

from difflab.core.base.errors import DifflabError, Unreadable
from difflab.core.base.pretrained import REMEDY, pretrained, pretrained_model

SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "image_size": 8}


def vae():
    channels = {"block_out_channels": (4,), "norm_num_groups": 2, "layers_per_block": 1, "latent_channels": 2}
    return AutoencoderKL(**channels)


def vit():
    return ViTModel(ViTConfig(**SIZES, patch_size=4))


MODELS = {
    "transformers": (vit, "model.safetensors", "layernorm.weight"),
    "diffusers": (vae, "diffusion_pytorch_model.safetensors", "quant_conv.weight"),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder for each library, and the models in them."""
    folder = tmp_path_factory.mktemp("models")
    models = {library: make() for library, (make, _, _) in MODELS.items()}
    for library, model in models.items():
        model.save_pretrained(folder / library)
    return folder, models


@pytest.fixture(params=MODELS)
def model(saved, tmp_path, request):
    """A copy of the folder, the class of its model, its file of weights and one of them."""
    folder, models = saved
    _, file, name = MODELS[request.param]
    shutil.copytree(folder / request.param, tmp_path / "model")
    return tmp_path / "model", type(models[request.param]), tmp_path / "model" / file, name


@pytest.mark.parametrize("library", MODELS)
def test_a_whole_folder_gives_every_weight(saved, library):
    folder, models = saved
    expected = models[library].state_dict()
    found = pretrained_model(type(models[library]), folder / library).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_missing_weight_is_named(model):
    folder, kind, file, name = model
    tensors = load_file(file)
    save_file({n: t for n, t in tensors.items() if n != name}, file, metadata={"format": "pt"})
    with pytest.raises(DifflabError) as caught:
        pretrained_model(kind, folder)
    assert str(caught.value) == f"{folder} lacks the weights {name}, which would be random: {REMEDY}"


def test_of_many_missing_weights_the_first_is_named_and_the_others_counted(model):
    folder, kind, file, name = model
    tensors = load_file(file)
    save_file({name: tensors[name]}, file, metadata={"format": "pt"})
    first = sorted(tensors.keys() - {name})[0]
    with pytest.raises(DifflabError, match=rf"lacks the weights {first} and {len(tensors) - 2} more, which"):
        pretrained_model(kind, folder)


@pytest.mark.parametrize("damaged", ["config.json", "weights"])
def test_a_damaged_file_is_one_line_with_the_remedy(model, damaged):
    folder, kind, file, _ = model
    (file if damaged == "weights" else folder / damaged).write_bytes(b"12345678{nothing")
    with pytest.raises(Unreadable) as caught:
        pretrained_model(kind, folder)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"unreadable: {folder} (")
    assert str(caught.value).endswith(REMEDY)


def test_options_reach_the_library(model):
    folder, kind, *_ = model
    assert pretrained(kind, folder, torch_dtype=torch.float16).dtype == torch.float16


def test_weights_that_git_lfs_has_not_fetched_are_named(model):
    folder, kind, file, _ = model
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    with pytest.raises(Unreadable, match=f"{file.name} is a pointer of Git LFS: `git lfs pull` fetches the file"):
        pretrained_model(kind, folder)

"""Pipelines load by what their folder says they are, ready to sample."""

import fnmatch
import json
import shutil

import pytest
import torch

from difflab.cli.compose import compose, validate
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json
from difflab.core.params.common import HubRef
from difflab.models.known.pipelines import known_pipelines
from difflab.models.pipelines.prompted import UNUSED, load_pipeline
from difflab.models.pointers import fetch
from fakes import tiny_pipelines


@pytest.mark.parametrize(
    ("kind", "name"),
    [("sd", "StableDiffusionPipeline"), ("sdxl", "StableDiffusionXLPipeline"), ("sd3", "StableDiffusion3Pipeline")],
)
def test_the_three_kinds_load_frozen_in_eval_mode(kind, name, tmp_path):
    pipeline = load_pipeline(tiny_pipelines.saved(kind, tmp_path), "cpu", torch.bfloat16)
    assert type(pipeline).__name__ == name
    modules = [m for m in pipeline.components.values() if isinstance(m, torch.nn.Module)]
    assert not any(module.training for module in modules)
    assert not any(p.requires_grad for module in modules for p in module.parameters())
    assert pipeline.vae.dtype == torch.bfloat16


def test_a_pipeline_spares_memory_where_it_is_asked_to(tmp_path):
    pipeline = load_pipeline(tiny_pipelines.saved("sd", tmp_path), "cpu", vae_batch="sliced", offload=True)
    assert pipeline.vae.use_slicing
    assert pipeline.device.type == "cpu"  # nothing to leave: the CPU is where parts of a pipeline go


def test_a_released_pipeline_is_fetched_once_and_its_pointer_kept(tmp_path, monkeypatch):
    """A local folder stands for the repository; its files are the pipeline's."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    released = tiny_pipelines.saved("sd", tmp_path / "released")
    hub = HubRef(repo_id=str(released), revision=None, subfolder=None, allow_patterns=["model_index.json", "unet/*"])
    assert fetch(hub) == released
    (pointer,) = (tmp_path / ".scratch" / "hub").glob("*/source.json")
    assert set(read_json(pointer)["files"]) == {
        "model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors",
    }  # fmt: skip
    monkeypatch.setattr("difflab.models.pointers.write_pointer", lambda *args: pytest.fail("asked again"))
    assert fetch(hub) == released


def test_a_folder_without_a_pipeline_is_one_line(tmp_path):
    with pytest.raises(DifflabError, match=r"holds no pipeline \(model_index.json is missing\)"):
        load_pipeline(tmp_path)


def test_another_kind_of_pipeline_is_named(tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    with pytest.raises(DifflabError, match="is a FluxPipeline: StableDiffusionPipeline, StableDiffusionXLPipeline"):
        load_pipeline(tmp_path)


def test_what_reads_pictures_is_neither_needed_nor_loaded(tmp_path):
    """Stable Diffusion 2.1 names a feature extractor that the files of prompts alone do not hold."""
    folder = tiny_pipelines.saved("sd", tmp_path)
    index = read_json(folder / "model_index.json")
    index |= {"feature_extractor": ["transformers", "CLIPImageProcessor"]}
    index |= {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    pipeline = load_pipeline(folder)
    assert pipeline.feature_extractor is None
    assert pipeline.safety_checker is None


def test_a_component_without_files_is_named_with_its_pattern(tmp_path):
    folder = tiny_pipelines.saved("sd", tmp_path)
    shutil.rmtree(folder / "tokenizer")
    with pytest.raises(
        DifflabError, match=r"lacks tokenizer of its model_index.json: .*allow_patterns name tokenizer/\*"
    ):
        load_pipeline(folder)


# Of the repositories, as their model_index.json has it; what is null there is left out.
SD = "feature_extractor safety_checker scheduler text_encoder tokenizer unet vae"
SDXL = "scheduler text_encoder text_encoder_2 tokenizer tokenizer_2 unet vae"
SD3 = "scheduler text_encoder text_encoder_2 text_encoder_3 tokenizer tokenizer_2 tokenizer_3 transformer vae"
COMPONENTS = {
    "stable-diffusion-2-1": SD, "sd-turbo": SD, "stable-diffusion-xl-base-1.0": SDXL, "sdxl-turbo": SDXL,
    "stable-diffusion-3.5-medium": SD3, "stable-diffusion-3.5-large-turbo": SD3,
}  # fmt: skip


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_patterns_of_paper_name_every_component_that_is_loaded(paper, name):
    hubs = [known_pipelines()[name].hub]
    hubs += [paper.zoo.diffusion.hub] if hubs[0].repo_id == paper.zoo.diffusion.hub.repo_id else []
    for hub in hubs:
        for component in COMPONENTS[name].split():
            listed = any(fnmatch.fnmatch(f"{component}/config.json", pattern) for pattern in hub.allow_patterns)
            assert listed or component in UNUSED


@pytest.fixture(scope="module")
def paper(root):
    return validate(compose(["profile=paper"], root / "conf"), "test")

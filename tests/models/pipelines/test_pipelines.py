"""Pipelines load by what their folder says they are, ready to sample."""

import json

import pytest
import torch

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json
from difflab.models.params import HubRef
from difflab.models.pipelines.prompted import load_pipeline
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

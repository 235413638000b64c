"""`difflab export --to onnx`: every network is a graph that gives what the network gives, and so the same pictures."""

import pytest
from diffusers import StableDiffusionPipeline

from difflab.cli.onnx_export import check_onnx, write_onnx
from difflab.cli.onnx_graphs import graphs
from difflab.cli.onnx_reading import by_graphs
from difflab.core.base.errors import DifflabError
from fakes import adapters, tiny_pipelines
from fakes.commands import error, run


@pytest.mark.parametrize("kind", ["sd", "sd3"])
def test_graphs_give_what_the_networks_give(tmp_path, kind):
    """Of other batches and lengths than those that they were traced with."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pipeline = adapters.base(kind)
    assert 0 <= write_onnx(pipeline, tmp_path / "onnx", "# card\n") < 1e-4
    assert {"model_index.json", "README.md", "scheduler", "tokenizer"} <= {
        p.name for p in (tmp_path / "onnx").iterdir()
    }
    assert {"unet", "transformer"} & {graph.folder for graph in graphs(pipeline)}
    assert (tmp_path / "onnx/vae_decoder/config.json").exists()
    first = adapters.picture(pipeline)
    assert abs(adapters.picture(by_graphs(pipeline, tmp_path / "onnx")) - first).max() < 1e-4


@pytest.mark.usefixtures("sd_workspace")
def test_the_adapter_is_in_the_graphs(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    told = run("export", "models/personal/cat", "--to", "onnx", "--out", "onnx")
    assert "in difflab's small Stable Diffusion: " in told
    assert "as ONNX graphs, within " in told
    run("merge", "models/personal/cat", "--out", "merged")
    merged = StableDiffusionPipeline.from_pretrained("merged")
    first = adapters.picture(merged)
    assert abs(adapters.picture(by_graphs(merged, tmp_path / "onnx")) - first).max() < 1e-4
    assert "onnx exists already" in error("export", "models/personal/cat", "--to", "onnx", "--out", "onnx")


@pytest.mark.usefixtures("sd_workspace")
def test_without_the_package_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr("difflab.cli.onnx_export.find_spec", lambda name: None)
    told = error("export", "models/personal/cat", "--to", "onnx")
    assert "--to onnx wants onnx, which is not installed: pip install 'difflab[onnx]'" in told
    with pytest.raises(DifflabError):
        check_onnx()


def test_another_kind_of_pipeline_is_refused():
    with pytest.raises(DifflabError, match="and the base is a StableDiffusionXLPipeline"):
        graphs(tiny_pipelines.pipeline("sdxl"))

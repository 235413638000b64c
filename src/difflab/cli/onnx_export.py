"""`difflab export --to onnx`: a pipeline with what was trained in its weights, each network as an ONNX graph, in float32.

    unet/model.onnx  unet/config.json  text_encoder/model.onnx  ...  tokenizer/  scheduler/  model_index.json

Hugging Face's optimum reads the folder by `ORTDiffusionPipeline`. What the graphs are: `onnx_graphs`.
"""

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from difflab.cli.onnx_graphs import graphs
from difflab.cli.onnx_reading import largest_difference
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from difflab.cli.onnx_graphs import Graph

FILE_NAME = "model.onnx"


def check_onnx() -> None:
    """Refuse, as a DifflabError, where the package that writes graphs is absent."""
    if find_spec("onnx") is None:
        raise DifflabError("--to onnx wants onnx, which is not installed: pip install 'difflab[onnx]'")


def write_onnx(pipeline: "DiffusionPipeline", out: Path, card: str) -> float | None:
    """Write a float32 pipeline of Stable Diffusion 1, 2 or 3 on the CPU to a folder that is not there yet.

    Returns:
        The largest difference of an output from the network's own; None without onnxruntime, which runs the graphs.

    Raises:
        DifflabError: it is of another kind, or the folder cannot be written.
    """
    made = graphs(pipeline)
    with atomic_path(out) as temporary:
        temporary.mkdir(parents=True)
        for graph in made:
            _write(graph, temporary / graph.folder)
        for name, component in pipeline.components.items():
            if name.startswith(("tokenizer", "scheduler")) and component is not None:
                component.save_pretrained(temporary / name)
        pipeline.save_config(temporary)
        (temporary / "README.md").write_text(card)
        return largest_difference(made, temporary) if find_spec("onnxruntime") else None


def _write(graph: "Graph", folder: Path) -> None:
    """By the exporter that traces: the newer one gives the same graphs in twelve times the time."""
    folder.mkdir()
    axes = {name: free for name, (_, free) in graph.inputs.items() if free}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # it is called deprecated, and shapes that are constants are reported
        torch.onnx.export(
            _Module(graph.run).eval(), tuple(example for example, _ in graph.inputs.values()), folder / FILE_NAME,
            input_names=list(graph.inputs), output_names=list(graph.outputs), dynamic_axes=axes, dynamo=False,
        )  # fmt: skip
    if hasattr(graph.network, "save_config"):
        graph.network.save_config(folder)
    else:
        graph.network.config.save_pretrained(folder)


class _Module(nn.Module):
    def __init__(self, run: Callable[..., Any]) -> None:
        super().__init__()
        self.run = run

    def forward(self, *inputs: Tensor) -> Any:
        return self.run(*inputs)

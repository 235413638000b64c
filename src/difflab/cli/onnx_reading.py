"""ONNX graphs of a pipeline by onnxruntime: beside the networks that they were traced from, and in their place."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from difflab.cli.onnx_graphs import Graph


class Session:
    """A graph as a function of tensors, on the CPU."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
        self._inputs = [given.name for given in self._session.get_inputs()]

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        given = {name: np.asarray(tensor) for name, tensor in zip(self._inputs, inputs, strict=True)}
        return [torch.from_numpy(array) for array in self._session.run(None, given)]


@torch.no_grad()
def largest_difference(graphs: "Sequence[Graph]", folder: Path) -> float:
    """The largest difference of an output, on random inputs of another batch than the graphs were traced with."""
    drawn, found = torch.Generator().manual_seed(0), 0.0
    for graph in graphs:
        inputs = [_longer(example, drawn) for example, _ in graph.inputs.values()]
        expected = graph.run(*inputs)
        made = Session(folder / graph.folder)(*inputs)
        for ours, theirs in zip(expected if isinstance(expected, tuple) else (expected,), made, strict=True):
            found = max(found, float((ours - theirs).abs().max()))
    return found


def _longer(example: Tensor, drawn: torch.Generator) -> Tensor:
    """One more row, and random numbers in place of examples that are the same everywhere."""
    if not example.ndim:
        return example
    longer = torch.cat([example, example[:1]])
    return torch.randn(longer.shape, generator=drawn) if longer.is_floating_point() and longer.ndim > 1 else longer


def by_graphs(pipeline: "DiffusionPipeline", folder: Path) -> "DiffusionPipeline":
    """The pipeline with its denoiser and its decoder computed by the graphs of a folder, in place."""
    name = "transformer" if hasattr(pipeline, "transformer") else "unet"
    denoise, decode = Session(folder / name), Session(folder / "vae_decoder")

    def unet(sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, **_: Any) -> tuple[Tensor]:
        return (denoise(sample, timestep, encoder_hidden_states)[0],)

    def transformer(
        hidden_states: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, pooled_projections: Tensor, **_: Any
    ) -> tuple[Tensor]:
        return (denoise(hidden_states, timestep, encoder_hidden_states, pooled_projections)[0],)

    getattr(pipeline, name).forward = {"unet": unet, "transformer": transformer}[name]
    pipeline.vae.decode = lambda latents, **_: (decode(latents)[0],)
    return pipeline

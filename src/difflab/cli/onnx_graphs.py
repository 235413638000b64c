"""The networks of a pipeline as functions of tensors, with examples of their inputs, from which ONNX graphs are traced.

unet              sample [b, C, h, w], timestep [], encoder_hidden_states [b, L, d]: out_sample
transformer       hidden_states, timestep [b], encoder_hidden_states, pooled_projections: out_hidden_states
text_encoder      input_ids [b, L]: last_hidden_state, pooler_output or text_embeds, hidden_states.0, ...
vae_decoder       latent_sample [b, C, h, w]: sample
vae_encoder       sample [b, 3, H, W]: latent_parameters

Names are those of Hugging Face's optimum. Batches, lengths of prompts and sizes of pictures are free.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

_LATENTS = {2: "latent_height", 3: "latent_width"}


@dataclass(frozen=True)
class Graph:
    """A network as a function of tensors, with an example of its inputs.

    Attributes:
        folder: under which it is written, and `network` beside it as its configuration.
        inputs: by name: an example, and the names of the axes that are free.
    """

    folder: str
    network: Any
    run: Callable[..., Any]
    inputs: dict[str, tuple[Tensor, dict[int, str]]]
    outputs: Sequence[str]


def graphs(pipeline: "DiffusionPipeline") -> list[Graph]:
    """The networks of a pipeline."""
    kind = type(pipeline).__name__
    if kind not in ("StableDiffusionPipeline", "StableDiffusion3Pipeline"):
        raise DifflabError(f"--to onnx takes Stable Diffusion 1, 2 and 3, and the base is a {kind}")
    found = [
        _text_encoder(pipeline, number) for number in ("", "_2", "_3") if hasattr(pipeline, f"text_encoder{number}")
    ]
    denoiser = _transformer if hasattr(pipeline, "transformer") else _unet
    return [*found, denoiser(pipeline), *_autoencoder(pipeline.vae)]


def _text_encoder(pipeline: "DiffusionPipeline", number: str) -> Graph:
    encoder, tokenizer = getattr(pipeline, f"text_encoder{number}"), getattr(pipeline, f"tokenizer{number}")
    ids = tokenizer(["a", "a cat"], padding=True, return_tensors="pt").input_ids
    with torch.no_grad():
        names = list(encoder(ids, output_hidden_states=True))
        states = len(encoder(ids, output_hidden_states=True).hidden_states)

    def run(input_ids: Tensor) -> tuple[Tensor, ...]:
        made = encoder(input_ids, output_hidden_states=True)
        return (*(made[name] for name in names if name != "hidden_states"), *made.hidden_states)

    outputs = [name for name in names if name != "hidden_states"] + [f"hidden_states.{n}" for n in range(states)]
    return Graph(f"text_encoder{number}", encoder, run, {"input_ids": (ids, {0: "batch", 1: "length"})}, outputs)


def _unet(pipeline: "DiffusionPipeline") -> Graph:
    unet = pipeline.unet
    inputs = {
        "sample": (_latents(unet.config), {0: "batch", **_LATENTS}),
        "timestep": (torch.tensor(1), {}),
        "encoder_hidden_states": (torch.zeros(2, 3, unet.config.cross_attention_dim), {0: "batch", 1: "length"}),
    }

    def run(sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor) -> Tensor:
        return unet(sample, timestep, encoder_hidden_states, return_dict=False)[0]

    return Graph("unet", unet, run, inputs, ["out_sample"])


def _transformer(pipeline: "DiffusionPipeline") -> Graph:
    transformer = pipeline.transformer
    config = transformer.config
    inputs = {
        "hidden_states": (_latents(config), {0: "batch", **_LATENTS}),
        "timestep": (torch.ones(2), {0: "batch"}),
        "encoder_hidden_states": (torch.zeros(2, 3, config.joint_attention_dim), {0: "batch", 1: "length"}),
        "pooled_projections": (torch.zeros(2, config.pooled_projection_dim), {0: "batch"}),
    }

    def run(
        hidden_states: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, pooled_projections: Tensor
    ) -> Tensor:
        return transformer(
            hidden_states=hidden_states, timestep=timestep, encoder_hidden_states=encoder_hidden_states,
            pooled_projections=pooled_projections, return_dict=False,
        )[0]  # fmt: skip

    return Graph("transformer", transformer, run, inputs, ["out_hidden_states"])


def _autoencoder(vae: Any) -> list[Graph]:
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    latents = torch.zeros(2, vae.config.latent_channels, 4, 4)
    pixels = torch.zeros(2, vae.config.in_channels, 4 * factor, 4 * factor)

    def decode(latent_sample: Tensor) -> Tensor:
        return vae.decode(latent_sample, return_dict=False)[0]

    def encode(sample: Tensor) -> Tensor:
        return vae.encode(sample, return_dict=False)[0].parameters

    decoder = {"latent_sample": (latents, {0: "batch", **_LATENTS})}
    encoder = {"sample": (pixels, {0: "batch", 2: "height", 3: "width"})}
    return [
        Graph("vae_decoder", vae, decode, decoder, ["sample"]),
        Graph("vae_encoder", vae, encode, encoder, ["latent_parameters"]),
    ]


def _latents(config: Any) -> Tensor:
    return torch.zeros(2, config.in_channels, config.sample_size, config.sample_size)

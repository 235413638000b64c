"""The networks of the pixel models: diffusers' U-Nets, without and with cross-attention, and their files.

<folder>/unet/            the network in `save_pretrained` layout
<folder>/denoiser.json    what it predicts, its schedule, its classes or words
<folder>/prompts.safetensors    the embedding of the words, where it reads prompts
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from difflab import rng
from difflab.diffusion import schedule
from difflab.diffusion.denoiser import Denoiser
from difflab.diffusion.prompts import PromptedUNet, PromptEncoder, Vocabulary
from difflab.errors import DifflabError
from difflab.files import read_json, write_json

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel, UNet2DModel

    from difflab.params.diffusion import ScheduleParams, UNetParams

DESCRIPTION, PROMPTS = "denoiser.json", "prompts.safetensors"


def build_unet(
    params: "UNetParams", *, size: int, channels: int, seed: int, num_classes: int | None = None
) -> "UNet2DModel":
    """A new `UNet2DModel`; with `num_classes`, class number `num_classes` means no class.

    Raises:
        DifflabError: the image cannot be halved as often as there are levels.
    """
    from diffusers import UNet2DModel

    _check_size(params, size)
    torch.manual_seed(rng.key(seed, "init", "unet"))
    levels = range(len(params.block_out_channels))
    return _quiet_output(
        UNet2DModel(
            sample_size=size,
            in_channels=channels,
            out_channels=channels,
            down_block_types=[
                "AttnDownBlock2D" if n in params.attention_levels else "DownBlock2D" for n in levels
            ],
            up_block_types=[
                "AttnUpBlock2D" if n in params.attention_levels else "UpBlock2D" for n in reversed(levels)
            ],
            num_class_embeds=None if num_classes is None else num_classes + 1,
            add_attention=bool(params.attention_levels),
            **_sizes(params),
        )
    )


def build_conditional_unet(
    params: "UNetParams", *, size: int, channels: int, cross_attention_dim: int, seed: int
) -> "UNet2DConditionModel":
    """A new `UNet2DConditionModel` that reads prompts by cross-attention at `attention_levels`."""
    from diffusers import UNet2DConditionModel

    _check_size(params, size)
    torch.manual_seed(rng.key(seed, "init", "conditional unet"))
    levels = range(len(params.block_out_channels))
    return _quiet_output(
        UNet2DConditionModel(
            sample_size=size,
            in_channels=channels,
            out_channels=channels,
            down_block_types=[
                "CrossAttnDownBlock2D" if n in params.attention_levels else "DownBlock2D" for n in levels
            ],
            up_block_types=[
                "CrossAttnUpBlock2D" if n in params.attention_levels else "UpBlock2D"
                for n in reversed(levels)
            ],
            mid_block_type="UNetMidBlock2DCrossAttn",
            cross_attention_dim=cross_attention_dim,
            **_sizes(params),
        )
    )


def _sizes(params: "UNetParams") -> dict[str, Any]:
    return {
        "block_out_channels": tuple(params.block_out_channels),
        "layers_per_block": params.layers_per_block,
        "norm_num_groups": params.norm_num_groups,
        "attention_head_dim": params.attention_head_dim,
    }


def _check_size(params: "UNetParams", size: int) -> None:
    halvings = len(params.block_out_channels) - 1
    if size % 2**halvings:
        raise DifflabError(
            f"images of {size} pixels cannot be halved {halvings} times: give block_out_channels fewer widths, "
            "or choose another size"
        )


def _quiet_output(network: nn.Module) -> nn.Module:
    """The last convolution starts at zero: the first step then starts from the best constant."""
    nn.init.zeros_(network.conv_out.weight)
    nn.init.zeros_(network.conv_out.bias)
    return network


def save_denoiser(folder: Path, denoiser: Denoiser, params: "ScheduleParams", **facts: Any) -> None:
    """Write a trained denoiser; `facts` (class names) join its description."""
    network = denoiser.network
    if isinstance(network, PromptedUNet):
        words = {"words": network.prompts.vocabulary.words, "length": network.prompts.vocabulary.length}
        facts = {**facts, "prompts": {**words, "dim": network.prompts.dim}}
        tensors = {name: t.detach().cpu().contiguous() for name, t in network.prompts.state_dict().items()}
        save_file(tensors, folder / PROMPTS)
        network = network.unet
    network.save_pretrained(folder / "unet")
    description = {"prediction": denoiser.prediction, "schedule": params.model_dump(), **facts}
    write_json(folder / DESCRIPTION, description)


def load_denoiser(folder: str | Path, device: torch.device | str = "cpu") -> tuple[Denoiser, dict[str, Any]]:
    """A denoiser in eval mode, and its description.

    Raises:
        DifflabError: it is missing, or its weights are those of another architecture.
    """
    from diffusers import UNet2DConditionModel, UNet2DModel

    from difflab.params.diffusion import ScheduleParams

    folder = Path(folder)
    if not (folder / DESCRIPTION).exists():
        raise DifflabError(f"{folder / DESCRIPTION} is missing: run `dvc repro` (or `dvc pull`) to make it")
    description = read_json(folder / DESCRIPTION)
    config = read_json(folder / "unet" / "config.json")
    words = description.get("prompts")
    network: nn.Module = (UNet2DConditionModel if words else UNet2DModel).from_config(config)
    load_weights(network, folder / "unet" / "diffusion_pytorch_model.safetensors")
    if words:
        prompts = PromptEncoder(Vocabulary(words["words"], words["length"]), words["dim"], seed=0)
        load_weights(prompts, folder / PROMPTS)
        network = PromptedUNet(network, prompts)
    table = schedule.make(ScheduleParams(**description["schedule"]))
    return Denoiser(network, table, description["prediction"]).to(device).eval(), description


def load_weights(network: nn.Module, path: Path) -> None:
    """Load safetensors weights into a network of the same architecture.

    Raises:
        DifflabError: the first tensor that does not fit is named.
    """
    found, wanted = load_file(path), network.state_dict()
    for name, tensor in wanted.items():
        if name not in found:
            raise DifflabError(f"{path} has no '{name}': it is the checkpoint of another architecture")
        if found[name].shape != tensor.shape:
            raise DifflabError(
                f"{path}: '{name}' is {list(found[name].shape)} there and {list(tensor.shape)} in this network: "
                "it is the checkpoint of another architecture"
            )
    if extra := sorted(set(found) - set(wanted)):
        raise DifflabError(
            f"{path} has '{extra[0]}', which this network lacks: it is the checkpoint of another architecture"
        )
    network.load_state_dict(found)

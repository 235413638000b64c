"""The networks of the pixel models and their files: diffusers' U-Nets without and with cross-attention, DRUNet.

<folder>/unet/            the network in `save_pretrained` layout
<folder>/denoiser.json    what it predicts, its schedule, its patch size, its classes or words
<folder>/prompts.safetensors    the embedding of the words, where it reads prompts
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, write_json
from difflab.ddpm.networks import schedule
from difflab.ddpm.networks.denoiser import Denoiser
from difflab.ddpm.networks.prompts import PromptedUNet, PromptEncoder, Vocabulary

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel, UNet2DModel

    from difflab.ddpm.networks.drunet import DRUNet
    from difflab.ddpm.params.networks import ScheduleParams, UNetParams

DESCRIPTION, PROMPTS = "denoiser.json", "prompts.safetensors"


def build_unet(
    params: "UNetParams", *, size: int, channels: int, seed: int, num_classes: int | None = None
) -> "UNet2DModel | DRUNet":
    """A new network without prompts; with `num_classes`, class number `num_classes` means no class.

    Args:
        size, channels: of the images, before they are folded into patches.

    Raises:
        DifflabError: the image cannot be halved as often as there are levels, or a DRUNet is to know classes.
    """
    from diffusers import UNet2DModel

    shape = _input_shape(params, size, channels)
    torch.manual_seed(rng.key(seed, "init", "unet"))
    levels = range(len(params.block_out_channels))
    if params.kind == "drunet":
        if num_classes is not None:
            raise DifflabError("a drunet cannot be told a class: set the kind of this unet to unet")
        return _drunet(params, shape["in_channels"])
    return _quiet_output(
        UNet2DModel(
            **shape,
            down_block_types=["AttnDownBlock2D" if n in params.attention_levels else "DownBlock2D" for n in levels],
            up_block_types=["AttnUpBlock2D" if n in params.attention_levels else "UpBlock2D" for n in reversed(levels)],
            num_class_embeds=None if num_classes is None else num_classes + 1,
            add_attention=bool(params.attention_levels),
            **_sizes(params),
        )
    )


def build_conditional_unet(
    params: "UNetParams", *, size: int, channels: int, cross_attention_dim: int, seed: int
) -> "UNet2DConditionModel":
    """A new `UNet2DConditionModel` that reads prompts by cross-attention at `attention_levels`, and as a whole.

    Raises:
        DifflabError: as `build_unet`.
    """
    from diffusers import UNet2DConditionModel

    if params.kind == "drunet":
        raise DifflabError("a drunet cannot read prompts: set the kind of this unet to unet")
    shape = _input_shape(params, size, channels)
    torch.manual_seed(rng.key(seed, "init", "conditional unet"))
    levels = range(len(params.block_out_channels))
    heads = tuple(max(1, width // params.attention_head_dim) for width in params.block_out_channels)
    return _quiet_output(
        UNet2DConditionModel(
            **shape,
            down_block_types=[
                "CrossAttnDownBlock2D" if n in params.attention_levels else "DownBlock2D" for n in levels
            ],
            up_block_types=[
                "CrossAttnUpBlock2D" if n in params.attention_levels else "UpBlock2D" for n in reversed(levels)
            ],
            mid_block_type="UNetMidBlock2DCrossAttn",
            cross_attention_dim=cross_attention_dim,
            addition_embed_type="text",  # the pooled prompt joins the timestep, as in SDXL and SD3
            addition_embed_type_num_heads=4,
            # What this class calls attention_head_dim is the number of heads.
            **(_sizes(params) | {"attention_head_dim": heads}),
        )
    )


def _sizes(params: "UNetParams") -> dict[str, Any]:
    return {
        "block_out_channels": tuple(params.block_out_channels),
        "layers_per_block": params.layers_per_block,
        "norm_num_groups": params.norm_num_groups,
        "attention_head_dim": params.attention_head_dim,
    }


def _drunet(params: "UNetParams", channels: int) -> "DRUNet":
    from difflab.ddpm.networks.drunet import DRUNet

    return _quiet_output(
        DRUNet(channels, channels, params.block_out_channels, params.layers_per_block, num_train_timesteps=1000)
    )


def _input_shape(params: "UNetParams", size: int, channels: int) -> dict[str, int]:
    halvings, patch = len(params.block_out_channels) - 1, params.patch_size
    if size % (patch * 2**halvings):
        folded = f", after patches of {patch}," if patch > 1 else ""
        raise DifflabError(
            f"images of {size} pixels cannot be halved {halvings} times{folded}: give block_out_channels fewer "
            "widths, or choose another size"
        )
    channels *= patch**2
    return {"sample_size": size // patch, "in_channels": channels, "out_channels": channels}


def _quiet_output(network: nn.Module) -> nn.Module:
    """The last convolution starts at zero: the first step then starts from the best constant."""
    for parameter in network.conv_out.parameters():
        nn.init.zeros_(parameter)
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
    description = {"prediction": denoiser.prediction, "schedule": params.model_dump()}
    description |= {"patch_size": denoiser.patch_size, **facts}
    write_json(folder / DESCRIPTION, description)


def load_denoiser(folder: str | Path, device: torch.device | str = "cpu") -> tuple[Denoiser, dict[str, Any]]:
    """A denoiser in eval mode, and its description.

    Raises:
        DifflabError: it is missing, or its weights are those of another architecture.
    """
    from diffusers import UNet2DConditionModel, UNet2DModel

    from difflab.ddpm.networks.drunet import DRUNet
    from difflab.ddpm.params.networks import ScheduleParams

    folder = Path(folder)
    if not (folder / DESCRIPTION).exists():
        raise DifflabError(f"{folder / DESCRIPTION} is missing: run `dvc repro` (or `dvc pull`) to make it")
    description = read_json(folder / DESCRIPTION)
    config = read_json(folder / "unet" / "config.json")
    words = description.get("prompts")
    kinds = {kind.__name__: kind for kind in (UNet2DModel, UNet2DConditionModel, DRUNet)}
    network: nn.Module = kinds[config["_class_name"]].from_config(config)
    load_weights(network, folder / "unet" / "diffusion_pytorch_model.safetensors")
    if words:
        prompts = PromptEncoder(Vocabulary(words["words"], words["length"]), words["dim"], seed=0)
        load_weights(prompts, folder / PROMPTS)
        network = PromptedUNet(network, prompts)
    table = schedule.make(ScheduleParams(**description["schedule"]))
    denoiser = Denoiser(network, table, description["prediction"], description["patch_size"])
    return denoiser.to(device).eval(), description


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

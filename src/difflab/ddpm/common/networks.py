"""The networks of the pixel models and their files: diffusers' U-Nets without and with cross-attention, DRUNet.

<folder>/unet/            the network in `save_pretrained` layout
<folder>/denoiser.json    what it predicts, its schedule, its patch size, its classes or words
<folder>/prompts.safetensors    the embedding of the words, where it reads prompts
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors.torch import save_file
from torch import nn

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import read_json, read_tensors, write_json
from difflab.ddpm.common import schedule
from difflab.ddpm.common.conditions import PromptedUNet, PromptEncoder, Vocabulary
from difflab.ddpm.common.denoiser import Denoiser
from difflab.ddpm.common.drunet import DRUNet
from difflab.ddpm.common.prompts import digit_prompts

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel, UNet2DModel

    from difflab.ddpm.params import ScheduleParams, SettingParams, TextSettingParams, UNetParams

DESCRIPTION, PROMPTS = "denoiser.json", "prompts.safetensors"


def build_network(params: "SettingParams", *, size: int, channels: int, classes: Sequence[str], seed: int) -> nn.Module:
    """A new network for a setting of the DDPM series: with prompts where its words have a width, or by class.

    Args:
        size, channels: of its input, which may be latents.
        classes: those that it is told; empty for none.
    """
    if hasattr(params, "prompt_dim"):
        width = cast("TextSettingParams", params).prompt_dim
        unet = build_unet(params.unet, size=size, channels=channels, seed=seed, cross_attention_dim=width)
        vocabulary = Vocabulary.of(prompt for digit in range(10) for prompt in digit_prompts(digit))
        return PromptedUNet(unet, PromptEncoder(vocabulary, width, seed))
    return build_unet(params.unet, size=size, channels=channels, seed=seed, num_classes=len(classes))


def build_unet(
    params: "UNetParams", *, size: int, channels: int, seed: int, num_classes: int = 0, cross_attention_dim: int = 0
) -> "UNet2DModel | UNet2DConditionModel | DRUNet":
    """A new network, which predicts zero: the first step then starts from the best constant.

    Args:
        size, channels: of the images, before they are folded into patches.
        num_classes: of a network by class; class number `num_classes` means no class.
        cross_attention_dim: of a network that reads prompts at `attention_levels`, and as a whole.
    """
    from diffusers import UNet2DConditionModel, UNet2DModel

    options = _options(params, size, channels, "CrossAttn" if cross_attention_dim else "Attn")
    torch.manual_seed(rng.key(seed, "init", "conditional unet" if cross_attention_dim else "unet"))
    if params.kind == "drunet":
        if cross_attention_dim or num_classes:
            raise DifflabError("a drunet cannot be told a class or a prompt: set the kind of this unet to unet")
        width = options["in_channels"]
        network = DRUNet(width, width, params.block_out_channels, params.layers_per_block, 1000)
    elif cross_attention_dim:
        network = UNet2DConditionModel(
            **options,
            # What this class calls attention_head_dim is the number of heads.
            attention_head_dim=tuple(max(1, width // params.attention_head_dim) for width in params.block_out_channels),
            mid_block_type="UNetMidBlock2DCrossAttn",
            cross_attention_dim=cross_attention_dim,
            addition_embed_type="text",  # the pooled prompt joins the timestep, as in SDXL and SD3
            addition_embed_type_num_heads=4,
        )
    else:
        network = UNet2DModel(
            **options,
            attention_head_dim=params.attention_head_dim,
            num_class_embeds=num_classes + 1 if num_classes else None,
            add_attention=bool(params.attention_levels),
        )
    for parameter in network.conv_out.parameters():
        nn.init.zeros_(parameter)
    return network


def _options(params: "UNetParams", size: int, channels: int, attention: str) -> dict[str, Any]:
    """What both U-Nets of diffusers are given; `attention` is the name of their blocks that attend."""
    widths, patch = params.block_out_channels, params.patch_size
    if size % (patch * 2 ** (len(widths) - 1)):
        folded = f", after patches of {patch}," if patch > 1 else ""
        raise DifflabError(
            f"images of {size} pixels cannot be halved {len(widths) - 1} times{folded}: give block_out_channels fewer "
            "widths, or choose another size"
        )
    kinds = [attention if level in params.attention_levels else "" for level in range(len(widths))]
    return {
        "sample_size": size // patch,
        "in_channels": channels * patch**2,
        "out_channels": channels * patch**2,
        "block_out_channels": tuple(widths),
        "layers_per_block": params.layers_per_block,
        "norm_num_groups": params.norm_num_groups,
        "down_block_types": [f"{kind}DownBlock2D" for kind in kinds],
        "up_block_types": [f"{kind}UpBlock2D" for kind in reversed(kinds)],
    }


def save_denoiser(folder: Path, denoiser: Denoiser, params: "ScheduleParams", **facts: Any) -> None:
    """Write a trained denoiser; `facts` (class names) join its description."""
    folder.mkdir(exist_ok=True)
    network = denoiser.network
    if isinstance(network, PromptedUNet):
        prompts = network.prompts
        words, length = prompts.vocabulary.words, prompts.vocabulary.length
        facts["prompts"] = {"words": words, "length": length, "dim": prompts.dim}
        save_file({name: t.detach().cpu().contiguous() for name, t in prompts.state_dict().items()}, folder / PROMPTS)
        network = network.unet
    network.save_pretrained(folder / "unet")
    own = {"prediction": denoiser.prediction, "schedule": params.model_dump(), "patch_size": denoiser.patch_size}
    write_json(folder / DESCRIPTION, own | facts)


def load_denoiser(folder: str | Path, device: torch.device | str = "cpu") -> tuple[Denoiser, dict[str, Any]]:
    """A denoiser in eval mode, and its description."""
    from diffusers import UNet2DConditionModel, UNet2DModel
    from pydantic import TypeAdapter

    from difflab.ddpm.params import Prediction, ScheduleParams

    folder = Path(folder)
    if not (folder / DESCRIPTION).exists():
        raise DifflabError(f"{folder / DESCRIPTION} is missing: run `dvc repro` (or `dvc pull`) to make it")
    description = read_json(folder / DESCRIPTION)
    config = read_json(folder / "unet" / "config.json")
    kinds = {kind.__name__: kind for kind in (UNet2DModel, UNet2DConditionModel, DRUNet)}
    with reading(folder, f"`dvc checkout {folder}` restores it"):
        network: nn.Module = kinds[config["_class_name"]].from_config(config)
        load_weights(network, folder / "unet" / "diffusion_pytorch_model.safetensors")
        if words := description.get("prompts"):
            prompts = PromptEncoder(Vocabulary(words["words"], words["length"]), words["dim"], seed=0)
            load_weights(prompts, folder / PROMPTS)
            network = PromptedUNet(network, prompts)
        table = schedule.make(ScheduleParams(**description["schedule"]))
        prediction = TypeAdapter(Prediction).validate_python(description["prediction"])
        denoiser = Denoiser(network, table, prediction, int(description["patch_size"]))
        return denoiser.to(device).eval(), description


def load_weights(network: nn.Module, path: Path) -> None:
    """Load safetensors weights into a network of the same architecture; the first tensors that do not fit are named."""
    tensors = read_tensors(path)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        faults = textwrap.shorten(str(error).partition("\n")[2], 240)
        raise DifflabError(f"{path} is the checkpoint of another architecture: {faults}") from None

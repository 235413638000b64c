"""A small vision transformer: initialised for short training, and turned into BLIP-2's encoder exactly."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import Blip2VisionConfig, ViTModel

LAYER_NORM_EPS = 1e-6  # BLIP-2's; ViT's own default is 1e-12
_SHARPNESS = 2.5  # of the first attention: at 2.5 the neighbour takes nearly all of it in the first layer
_OFFSETS = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, 1), (-1, 1), (1, -1))  # (columns, rows)


def build_vit(**sizes: int) -> "ViTModel":
    """A `ViTModel` without pooler, its weights drawn from torch's global generator.

    The attention starts as a convolution (`convolutional_`): from the usual start a ViT of this size learns
    nearly nothing of a shape in the few hundred steps that it gets.

    Args:
        sizes: hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, image_size and patch_size of a
            `ViTConfig`. The width of a head must be a multiple of 4.
    """
    from transformers.models.vit.configuration_vit import ViTConfig
    from transformers.models.vit.modeling_vit import ViTModel

    vit = ViTModel(ViTConfig(**sizes, layer_norm_eps=LAYER_NORM_EPS), add_pooling_layer=False)
    convolutional_(vit)
    return vit


@torch.no_grad()
def convolutional_(vit: "ViTModel") -> None:
    """Initialise `vit` so that each head looks from a patch to one of its eight neighbours, which they take in turn.

    Sines and cosines of the position fill the first columns of the residual stream, which nothing else writes to at
    first. The keys are these columns, the queries the same ones moved by the head's offset, so their product is largest
    at the neighbour. After Zheng, Li and Lucey, "Structured initialization for attention in vision transformers" (2024),
    who solve for such maps numerically; here the position code gives them.
    """
    config = vit.config
    dim, width = config.hidden_size, config.hidden_size // config.num_attention_heads
    positions = vit.embeddings.position_embeddings
    positions[:, 1:, :width] = position_code(config.image_size // config.patch_size, width)
    projection = vit.embeddings.patch_embeddings.projection.weight
    nn.init.xavier_uniform_(projection.view(dim, -1))
    projection[:width] = 0
    gain = math.sqrt(_SHARPNESS * math.sqrt(width))  # queries times keys are divided by sqrt(width)
    for number, layer in enumerate(vit.layers):
        attention, mlp = layer.attention, layer.mlp
        for linear in (attention.v_proj, attention.o_proj, mlp.fc1, mlp.fc2):
            nn.init.xavier_uniform_(linear.weight)
        for linear in (attention.o_proj, mlp.fc2):
            linear.weight[:width] = 0
        for head in range(config.num_attention_heads):
            rows = slice(head * width, (head + 1) * width)
            offset = _OFFSETS[(number * config.num_attention_heads + head) % len(_OFFSETS)]
            attention.q_proj.weight[rows, :width] += gain * position_shift(width, *offset)
            attention.k_proj.weight[rows, :width] += gain * torch.eye(width)


def position_code(grid: int, width: int) -> Tensor:
    """Sines and cosines of column and row at frequencies pi/2, pi/4, ...: float32 [grid * grid, width].

    A patch's code: (sin, cos) for each frequency of its column, then of its row. `width` is a multiple of 4.
    """
    row, column = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    angles = torch.stack([column.flatten(), row.flatten()], dim=1)[:, :, None] * _frequencies(width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def position_shift(width: int, columns: int, rows: int) -> Tensor:
    """The matrix [width, width] from the code of a patch to that of the one `columns` right, `rows` down."""
    angles = torch.cat([columns * _frequencies(width), rows * _frequencies(width)])
    rotations = torch.stack([angles.cos(), angles.sin(), -angles.sin(), angles.cos()], dim=1).view(-1, 2, 2)
    return torch.block_diag(*rotations)


def _frequencies(width: int) -> Tensor:
    return math.pi / 2 / 2 ** torch.arange(width // 4)


def blip2_vision_config(vit: "ViTModel") -> "Blip2VisionConfig":
    from transformers.models.blip_2.configuration_blip_2 import Blip2VisionConfig

    same = (
        *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
        *("image_size", "patch_size", "hidden_act", "layer_norm_eps", "qkv_bias"),
    )
    return Blip2VisionConfig(**{name: getattr(vit.config, name) for name in same})


def blip2_vision_weights(vit: "ViTModel") -> dict[str, Tensor]:
    """The weights of `vit` under the names of `Blip2VisionModel`; query, key and value become one matrix."""
    old = vit.state_dict()
    new = {
        "embeddings.class_embedding": old["embeddings.cls_token"],
        "embeddings.position_embedding": old["embeddings.position_embeddings"],
        "embeddings.patch_embedding.weight": old["embeddings.patch_embeddings.projection.weight"],
        "embeddings.patch_embedding.bias": old["embeddings.patch_embeddings.projection.bias"],
        "post_layernorm.weight": old["layernorm.weight"],
        "post_layernorm.bias": old["layernorm.bias"],
    }
    renamed = {
        "layernorm_before": "layer_norm1",
        "layernorm_after": "layer_norm2",
        "attention.o_proj": "self_attn.projection",
        "mlp.fc1": "mlp.fc1",
        "mlp.fc2": "mlp.fc2",
    }
    for i in range(vit.config.num_hidden_layers):
        source, target = f"layers.{i}", f"encoder.layers.{i}"
        for part in ("weight", "bias"):
            new |= {f"{target}.{b}.{part}": old[f"{source}.{a}.{part}"] for a, b in renamed.items()}
            qkv = [old[f"{source}.attention.{x}_proj.{part}"] for x in "qkv"]
            new[f"{target}.self_attn.qkv.{part}"] = torch.cat(qkv)
    return new

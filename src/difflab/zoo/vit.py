"""A small vision transformer: initialised for short training, and turned into BLIP-2's encoder exactly."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import Blip2VisionConfig, Blip2VisionModel, ViTModel

LAYER_NORM_EPS = 1e-6  # BLIP-2's; ViT's own default is 1e-12


def build_vit(
    hidden_size: int,
    num_hidden_layers: int,
    num_attention_heads: int,
    intermediate_size: int,
    image_size: int,
    patch_size: int,
) -> "ViTModel":
    """A `ViTModel` without pooler, its weights drawn from torch's global generator.

    Sine and cosine position embeddings and mimetic attention weights: without them a ViT of this size stays
    at chance for most of the few hundred steps that it gets.
    """
    from transformers.models.vit.configuration_vit import ViTConfig
    from transformers.models.vit.modeling_vit import ViTModel

    config = ViTConfig(
        hidden_size=hidden_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=num_attention_heads,
        intermediate_size=intermediate_size,
        image_size=image_size,
        patch_size=patch_size,
        layer_norm_eps=LAYER_NORM_EPS,
    )
    vit = ViTModel(config, add_pooling_layer=False)
    with torch.no_grad():
        for layer in vit.layers:
            mimetic_(layer.attention)
            nn.init.xavier_uniform_(layer.mlp.fc1.weight)
            nn.init.xavier_uniform_(layer.mlp.fc2.weight)
        nn.init.xavier_uniform_(vit.embeddings.patch_embeddings.projection.weight.view(hidden_size, -1))
        vit.embeddings.position_embeddings[0, 1:] = 0.3 * sincos_positions(
            hidden_size, image_size // patch_size
        )
    return vit


def sincos_positions(dim: int, grid: int) -> Tensor:
    """Sines and cosines of column and row, float32 [grid * grid, dim] in row order (dim a multiple of 4)."""
    row, column = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    frequency = math.pi / 2 / (2 * grid) ** (torch.arange(dim // 4) / (dim // 4))
    angles = [axis.flatten()[:, None] * frequency for axis in (column, row)]
    return torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=1)


@torch.no_grad()
def mimetic_(attention: nn.Module) -> None:
    """Initialise attention as trained ones look: Wq'Wk ~ 0.7 (N + I) per head, Wo Wv ~ 0.4 (N - I).

    N has independent entries of variance 1 / dim. Trockman and Kolter, "Mimetic initialization of
    self-attention layers", ICML 2023, section 4.
    """
    dim, heads = attention.o_proj.weight.shape[0], attention.num_attention_heads
    left, right = _factors(0.4 * (_noise(dim) - torch.eye(dim)), dim)
    attention.o_proj.weight.copy_(left)
    attention.v_proj.weight.copy_(right)
    rank = dim // heads
    for head in range(heads):
        left, right = _factors(0.7 * (_noise(dim) + torch.eye(dim)), rank)
        rows = slice(head * rank, (head + 1) * rank)
        attention.q_proj.weight[rows] = left.T
        attention.k_proj.weight[rows] = right


def to_blip2_vision(vit: "ViTModel") -> "Blip2VisionModel":
    """The same network as BLIP-2's image encoder: equal `last_hidden_state` for equal pixels."""
    from transformers.models.blip_2.modeling_blip_2 import Blip2VisionModel

    encoder = Blip2VisionModel(blip2_vision_config(vit))
    encoder.load_state_dict(blip2_vision_weights(vit))
    return encoder.eval()


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


def _noise(dim: int) -> Tensor:
    return torch.randn(dim, dim) / math.sqrt(dim)


def _factors(product: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """[dim, rank] and [rank, dim] whose product is the best approximation of `product`, split evenly."""
    u, s, v = torch.linalg.svd(product)
    root = s[:rank].sqrt()
    return u[:, :rank] * root, root[:, None] * v[:rank]

"""LoRA adapters of an SD3 transformer (Hu et al. 2021), by PEFT, in files that keep everything needed to use them.

`pytorch_lora_weights.safetensors` loads with `StableDiffusion3Pipeline.load_lora_weights` and PEFT. Its
metadata holds rank, alpha and targets under the key where diffusers looks for them, and beside them the
fingerprints of the base, the autoencoder and the text encoders that it was trained with.
"""

import hashlib
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import nn

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import atomic_path, read_tensor_facts, read_tensors
from difflab.models.lora import ADAPTER, add_lora, alpha_of, check_rank, check_target, check_weights, linear_layers
from difflab.sd3.artifacts.components import NAMES, Components, check_components

if TYPE_CHECKING:
    from difflab.models.params import LoraParams

FILE_NAME = "pytorch_lora_weights.safetensors"
METADATA_KEY = "lora_adapter_metadata"  # where diffusers reads the LoraConfig; it ignores keys of other prefixes
_KNOWN_BASE = "difflab_base_fingerprint"
PRESETS = {
    "attn": ["to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"],
    "attn2": ["to_q", "to_k", "to_v", "to_out.0"],  # the second attention of SD3.5-medium
    "ff": ["net.0.proj", "net.2"],
    "ff_context": ["net.0.proj", "net.2"],
}


def adapt(transformer: nn.Module, settings: "LoraParams", seed: int) -> list[str]:
    """Freeze the transformer, add an adapter that changes nothing yet, and print what is trained.

    Its weights are float32: A from a normal distribution of variance 1 / rank (PEFT's "gaussian"), B zero.
    Returns the names of the adapted linear layers, `matched_modules`.
    """
    from peft import LoraConfig

    modules, config = matched_modules(transformer, settings), peft_config(transformer, settings)
    torch.manual_seed(rng.key(seed, "init", "lora"))
    count = sum(p.numel() for p in add_lora(transformer, LoraConfig(**config, init_lora_weights="gaussian")))
    blocks = "all blocks" if settings.blocks == "all" else f"blocks {', '.join(map(str, settings.blocks))}"
    where = f"{len(modules)} linear layers ({', '.join(settings.targets)} of {blocks})"
    print(f"LoRA: {count:,} parameters in {where}, rank {settings.rank}, alpha {config['lora_alpha']:g}", flush=True)
    return modules


def save_adapter(folder: Path, transformer: nn.Module, settings: "LoraParams", components: Components) -> None:
    """Write the adapter to `folder/pytorch_lora_weights.safetensors`, the same bytes every time."""
    from peft.utils import get_peft_model_state_dict

    weights = get_peft_model_state_dict(transformer, adapter_name=ADAPTER)
    tensors = {f"transformer.{name}": t.detach().cpu().contiguous() for name, t in sorted(weights.items())}
    trained_with = {"base": base_fingerprint(transformer), **components}
    ours = {"targets": settings.targets, "blocks": settings.blocks, **trained_with}
    facts = {f"transformer.{name}": value for name, value in peft_config(transformer, settings).items()}
    facts |= {f"difflab.{name}": value for name, value in ours.items()}
    with atomic_path(Path(folder) / FILE_NAME) as temporary:
        save_file(tensors, temporary, metadata={METADATA_KEY: json.dumps(facts, sort_keys=True)})


def load_adapter(transformer: nn.Module, folder: Path, components: Components) -> None:
    """Put a saved adapter on its base, which is used with `components`; first `transformer.unload_lora()` another one.

    Raises:
        DifflabError: the file is absent or damaged, was not written by `save_adapter`, was trained on another base or
            with other components, or its tensors are not those that its rank and targets say, or not finite.
    """
    path = Path(folder) / FILE_NAME
    if not path.exists():
        raise DifflabError(f"{path} is missing: run the finetune stage that writes it")
    remedy = "run its finetune stage again"
    tensors = read_tensors(path, remedy)
    with reading(path, remedy):
        facts = json.loads(read_tensor_facts(path, remedy).get(METADATA_KEY, "{}"))
    if not isinstance(facts, dict) or "difflab.base" not in facts:
        raise DifflabError(f"{path} does not say which base it was trained on: it was not written by difflab")
    if facts["difflab.base"] != base_fingerprint(transformer):
        raise DifflabError(f"{path} was trained on another base transformer: {remedy}")
    trained_with = {part: facts.get(f"difflab.{part}") for part in NAMES}
    check_components(str(path), trained_with, components, remedy)
    metadata = {name: value for name, value in facts.items() if name.startswith("transformer.")}
    check_weights(str(path), tensors, _expected(transformer, metadata, str(path)), remedy)
    transformer.load_lora_adapter(tensors, adapter_name=ADAPTER, metadata=metadata)


def _expected(transformer: nn.Module, metadata: dict[str, Any], path: str) -> dict[str, list[int]]:
    """Names and shapes of the tensors of an adapter of this rank on these targets, and no others."""
    rank, alpha, pattern = (metadata.get(f"transformer.{name}") for name in ("r", "lora_alpha", "target_modules"))
    numbers = isinstance(rank, int) and isinstance(alpha, int | float)
    if not numbers or not isinstance(pattern, str) or rank < 1 or not 0 < alpha < math.inf:
        raise DifflabError(
            f"{path} says rank {rank}, alpha {alpha} and targets {pattern}: run its finetune stage again"
        )
    with reading(path, "run its finetune stage again"):
        targets = re.compile(pattern)
    shapes = {}
    for name, layer in transformer.named_modules():
        if isinstance(layer, nn.Linear) and targets.fullmatch(name):
            shapes[f"transformer.{name}.lora_A.weight"] = [rank, layer.in_features]
            shapes[f"transformer.{name}.lora_B.weight"] = [layer.out_features, rank]
    return shapes


def matched_modules(transformer: nn.Module, settings: "LoraParams") -> list[str]:
    """The linear layers that the targets name in the chosen blocks; a DifflabError where there is no such thing."""
    layers = {b: linear_layers(transformer.transformer_blocks[b]) for b in _blocks(transformer, settings)}
    check_rank(settings.rank, transformer.config.num_attention_heads * transformer.config.attention_head_dim)
    known = {name for names in layers.values() for name in names}
    for target in settings.targets:
        check_target(target, _expand(target), known, "lora.targets", PRESETS)
    wanted = {name for target in settings.targets for name in _expand(target)}
    return [f"transformer_blocks.{b}.{name}" for b, names in layers.items() for name in names if name in wanted]


def peft_config(transformer: nn.Module, settings: "LoraParams") -> dict[str, object]:
    """Arguments of `peft.LoraConfig`; the targets are one regular expression over full module names."""
    blocks = "|".join(map(str, _blocks(transformer, settings)))
    names = "|".join(re.escape(name) for target in settings.targets for name in _expand(target))
    pattern = rf"transformer_blocks\.({blocks})\.({names})"
    return {"r": settings.rank, "lora_alpha": alpha_of(settings.rank, settings.alpha), "target_modules": pattern}


def base_fingerprint(transformer: nn.Module) -> str:
    """A hash of the base: configuration, names and shapes of its parameters, and 64 numbers of each.

    Adapters on it do not count, and loading it as float32 or bfloat16 gives the same. A quantised base has that of the
    full one, where `as_base` has told it.
    """
    if known := getattr(transformer, _KNOWN_BASE, None):
        return known
    config = {name: value for name, value in transformer.config.items() if not name.startswith("_")}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    named = {n.replace(".base_layer", ""): p for n, p in transformer.named_parameters() if ".lora_" not in n}
    for name, parameter in sorted(named.items()):
        flat = parameter.detach().flatten()
        sample = flat[:: max(1, flat.numel() // 64)][:64].to(torch.bfloat16).cpu().view(torch.int16)
        digest.update(f"{name} {list(parameter.shape)}".encode() + sample.numpy().tobytes())
    return digest.hexdigest()[:16]


def as_base(quantised: nn.Module, full: nn.Module) -> nn.Module:
    """A quantised base that knows the fingerprint of the full one, to which its adapters belong."""
    setattr(quantised, _KNOWN_BASE, base_fingerprint(full))
    return quantised


def _expand(target: str) -> list[str]:
    return [f"{target}.{name}" for name in PRESETS[target]] if target in PRESETS else [target]


def _blocks(transformer: nn.Module, settings: "LoraParams") -> list[int]:
    count = len(transformer.transformer_blocks)
    blocks = range(count) if settings.blocks == "all" else sorted(settings.blocks)
    if blocks[-1] >= count:
        raise DifflabError(f"lora.blocks: block {blocks[-1]} does not exist; the transformer has 0 to {count - 1}")
    return list(blocks)

"""How ComfyUI reads a LoRA file, written anew after comfy/lora.py, comfy/weight_adapter/lora.py and comfy/utils.py.

It looks each weight of its own model up under several names, adds `strength * alpha / rank * up @ down` where it finds
`<key>.alpha` and `up @ down` where it does not, and only warns of keys that it does not know.
"""

import torch

BLOCK = {
    "context_block.adaLN_modulation.1": "norm1_context.linear",
    "context_block.attn.proj": "attn.to_add_out",
    "context_block.mlp.fc1": "ff_context.net.0.proj",
    "context_block.mlp.fc2": "ff_context.net.2",
    "x_block.adaLN_modulation.1": "norm1.linear",
    "x_block.attn.proj": "attn.to_out.0",
    "x_block.attn2.proj": "attn2.to_out.0",
    "x_block.mlp.fc1": "ff.net.0.proj",
    "x_block.mlp.fc2": "ff.net.2",
}
QKV = {
    "x_block.attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "context_block.attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "x_block.attn2.qkv": ("attn2.to_q", "attn2.to_k", "attn2.to_v"),
}


def swap(weight: torch.Tensor) -> torch.Tensor:
    """The last block's text modulation is (shift, scale) there and (scale, shift) in diffusers."""
    return torch.cat(weight.chunk(2)[::-1])


def sd3_weights(transformer) -> dict[str, torch.Tensor]:
    """The weights of the blocks as they lie in ComfyUI's model, from a transformer of diffusers."""
    state, weights, last = transformer.state_dict(), {}, len(transformer.transformer_blocks) - 1
    for number in range(last + 1):
        ours, theirs = f"transformer_blocks.{number}", f"diffusion_model.joint_blocks.{number}"
        for name, module in BLOCK.items():
            if (weight := state.get(f"{ours}.{module}.weight")) is not None:
                turned = number == last and name == "context_block.adaLN_modulation.1"
                weights[f"{theirs}.{name}.weight"] = swap(weight) if turned else weight.clone()
        for name, modules in QKV.items():
            if f"{ours}.{modules[0]}.weight" in state:
                weights[f"{theirs}.{name}.weight"] = torch.cat([state[f"{ours}.{m}.weight"] for m in modules])
    return weights


def sd3_keys(weights: dict[str, torch.Tensor]) -> dict[str, tuple]:
    """The names under which a file may hold an update: (weight, rows or None, function or None)."""
    last = max(int(name.split(".")[2]) for name in weights)
    keys: dict[str, tuple] = {}
    for name in weights:
        plain = name.removeprefix("diffusion_model.").removesuffix(".weight")
        keys["lora_unet_" + plain.replace(".", "_")] = name, None, None
        _, number, theirs = plain.split(".", 2)
        for place, module in enumerate(QKV.get(theirs, ())):
            width = len(weights[name]) // 3
            keys[f"transformer.transformer_blocks.{number}.{module}"] = name, (place * width, width), None
        if theirs in BLOCK:
            turned = int(number) == last and theirs == "context_block.adaLN_modulation.1"
            keys[f"transformer.transformer_blocks.{number}.{BLOCK[theirs]}"] = name, None, swap if turned else None
    return keys


def unet_keys(pipeline) -> dict[str, tuple]:
    """For a Stable Diffusion 1 model; its weights are called here as in diffusers, to which ComfyUI has a table."""
    keys = {}
    for name, parameter in pipeline.unet.named_parameters():
        if name.endswith(".weight") and parameter.ndim > 1:
            keys["lora_unet_" + name.removesuffix(".weight").replace(".", "_")] = f"unet.{name}", None, None
    for name, parameter in pipeline.text_encoder.named_parameters():
        if ".layers." in name and name.endswith(".weight") and parameter.ndim > 1:
            layer = "text_model." + name.removeprefix("text_model.").removesuffix(".weight")
            keys["lora_te_" + layer.replace(".", "_")] = f"text_encoder.{name}", None, None
    return keys


def patched(weights, keys, lora) -> tuple[dict[str, torch.Tensor], set[str]]:
    """The weights with a file's updates, and the keys of the file that were not loaded."""
    weights, left = {name: weight.clone() for name, weight in weights.items()}, set(lora)
    for key, (name, rows, function) in keys.items():
        for up, down in (("lora_up.weight", "lora_down.weight"), ("lora_B.weight", "lora_A.weight")):
            if f"{key}.{up}" not in lora:
                continue
            up_matrix, down_matrix = lora[f"{key}.{up}"], lora[f"{key}.{down}"]
            alpha = lora[f"{key}.alpha"].item() / len(down_matrix) if f"{key}.alpha" in lora else 1.0
            delta = alpha * (up_matrix.flatten(1) @ down_matrix.flatten(1))
            delta = function(delta) if function else delta
            target = weights[name] if rows is None else weights[name].narrow(0, *rows)
            target += delta.reshape(target.shape)
            left -= {f"{key}.{up}", f"{key}.{down}", f"{key}.alpha"}
    return weights, left


def embedding(file: dict[str, torch.Tensor], key: str = "clip_l") -> torch.Tensor:
    """The vectors that `embedding:NAME` in a prompt stands for, [n, d], after `load_embed` of comfy/sd1_clip.py."""
    found = file[key] if key in file else next(iter(file.values()))
    return found if found.ndim == 2 else found[None]

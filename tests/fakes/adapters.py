"""Adapters of tiny pipelines whose every layer has an update that matters, and the pictures that show it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.models import SD3Transformer2DModel
from peft import LoraConfig

from difflab.models.adapters.updates import Update, Updates
from difflab.models.params import LoraParams
from difflab.sd3.artifacts import adapters
from difflab.sd3.pipeline import study_components
from fakes import tiny_pipelines

UNET_TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "ff.net.2", "conv1", "time_emb_proj"]
TEXT_TARGETS = ["q_proj", "v_proj", "out_proj", "fc1", "fc2"]
SD3_TARGETS = [
    "to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out", "net.0.proj", "net.2",
    "norm1.linear", "norm1_context.linear",
]  # fmt: skip
COMPONENTS = {"vae": "0" * 16, "text_encoders": "1" * 16}


def base(kind: str):
    """A pipeline "sd" or "sd3"; the latter with two blocks, of which the first has a second attention, as SD3.5-medium."""
    pipeline = tiny_pipelines.pipeline(kind)
    if kind == "sd3":
        torch.manual_seed(1)
        config = {**pipeline.transformer.config, "num_layers": 2, "dual_attention_layers": (0,)}
        pipeline.transformer = SD3Transformer2DModel.from_config(config).eval().requires_grad_(False)
        pipeline.transformer.proj_out.weight.mul_(3.0)
    return pipeline


def trained(kind: str, rank: int = 3, alpha: float = 5.0):
    """A pipeline on which PEFT has put an adapter with random weights; of "sd" on the text encoder too."""
    pipeline = base(kind)
    parts = {"transformer": SD3_TARGETS} if kind == "sd3" else {"unet": UNET_TARGETS, "text_encoder": TEXT_TARGETS}
    for component, targets in parts.items():
        model = getattr(pipeline, component)
        model.add_adapter(LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets))
        shake(model)
    return pipeline


def shake(model: torch.nn.Module, seed: int = 0) -> None:
    """Random numbers in place of the zeros that a new adapter starts with."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)


def saved(pipeline, folder: Path) -> Path:
    """The adapter on a pipeline as diffusers' own writer writes it."""
    from peft.utils import get_peft_model_state_dict

    layers, facts = {}, {}
    for component in ("transformer", "unet", "text_encoder"):
        model = getattr(pipeline, component, None)
        if getattr(model, "peft_config", None):
            layers[f"{component}_lora_layers"] = get_peft_model_state_dict(model, adapter_name="default")
            facts[f"{component}_lora_adapter_metadata"] = model.peft_config["default"].to_dict()
    pipeline.save_lora_weights(folder, **layers, **facts)
    return folder


def study_adapter(folder: Path, transformer, components=COMPONENTS) -> Path:
    """An adapter of the SD3 study, as its stage writes it, of a transformer that is given back as it was."""
    settings = LoraParams(rank=2, alpha=3.0, targets=["attn", "ff", "norm1.linear"], blocks="all")
    adapters.adapt(transformer, settings, seed=0)
    shake(transformer)
    adapters.save_adapter(folder, transformer, settings, components)
    transformer.unload_lora()
    return folder


def picture(pipeline, **options) -> np.ndarray:
    """float32 [16, 16, 3] in 0 to 1."""
    usual = {"num_inference_steps": 2, "guidance_scale": 2.0, "output_type": "np"}
    made = pipeline("three over a cat", generator=torch.Generator().manual_seed(0), **usual, **options)
    return made.images[0]


def updates(layers: dict[str, tuple[int, ...]], rank: int, alpha: float, seed: int = 0) -> Updates:
    """Random updates of the linear layers and convolutions whose weights have these shapes."""
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name, (out, *inputs) in layers.items():
        down, ones = torch.randn(rank, *inputs, generator=generator), [1] * (len(inputs) - 1)
        made[name] = Update(down, torch.randn(out, rank, *ones, generator=generator), alpha)
    return made


def study_zoo(pipeline) -> Path:
    """The parts of a Stable Diffusion 3 pipeline as the roles of the study in models/zoo of the present folder."""
    zoo = Path("models/zoo")
    pipeline.transformer.save_pretrained(zoo / "transformer/transformer")
    pipeline.scheduler.save_pretrained(zoo / "transformer/scheduler")
    pipeline.vae.save_pretrained(zoo / "vae")
    for number in ("", "_2", "_3"):
        for part in ("text_encoder", "tokenizer"):
            getattr(pipeline, part + number).save_pretrained(zoo / "text" / (part + number))
    return zoo


def study_models(folder: Path) -> None:
    """The models of a repository: both bases tiny, two adapters of the study, one of the U-Net and its text encoder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        pipeline = base("sd3")
        study_zoo(pipeline)
        for captions in ("blip2", "llama3"):
            cell = folder / f"models/finetune/{captions}-zero/seed-0"
            study_adapter(cell, pipeline.transformer, study_components())
        tiny_pipelines.saved("sd", folder / "models/zoo/diffusion")
        saved(trained("sd"), folder / "models/personal/cat")

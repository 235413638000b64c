"""`difflab merge --bits`: smaller, nearly the same pictures, in files that diffusers reads."""

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file

from fakes import adapters
from fakes.commands import error, run

ADAPTER = "models/personal/cat"


@pytest.mark.usefixtures("sd_workspace")
@pytest.mark.parametrize(("bits", "package"), [("8", "torchao"), ("4", "bitsandbytes")])
def test_without_its_package_the_remedy_is_named(monkeypatch, bits, package):
    monkeypatch.setattr("difflab.cli.quantising.find_spec", lambda name: None)
    told = error("merge", ADAPTER, "--bits", bits)
    assert f"--bits {bits} wants {package}, which is not installed: pip install 'difflab[quantised]'" in told
    assert not Path("exports").exists()


@pytest.mark.usefixtures("sd_workspace")
def test_eight_bits_are_smaller_and_nearly_the_same():
    pytest.importorskip("torchao")
    run("merge", ADAPTER, "--out", "full")
    assert "8 bits a weight" in run("merge", ADAPTER, "--bits", "8", "--out", "small")
    first, second = (
        adapters.picture(StableDiffusionPipeline.from_pretrained(name, dtype=torch.float32))
        for name in ("full", "small")
    )
    assert 0 < abs(first - second).max() < 0.1
    kept = load_file("small/unet/diffusion_pytorch_model.safetensors")
    assert sum(tensor.dtype == torch.int8 for tensor in kept.values()) > 10


@pytest.mark.usefixtures("sd_workspace")
def test_four_bits_are_what_diffusers_reads(monkeypatch):
    """It refuses to without a GPU, though bitsandbytes itself computes on a CPU: here that check is left out."""
    bnb = pytest.importorskip("bitsandbytes")
    from diffusers.quantizers.bitsandbytes.bnb_quantizer import BnB4BitDiffusersQuantizer as Reader

    run("merge", ADAPTER, "--out", "full")
    assert "4 bits a weight" in run("merge", ADAPTER, "--bits", "4", "--out", "small")
    monkeypatch.setattr(Reader, "validate_environment", lambda self, *args, **options: None)
    monkeypatch.setattr(Reader, "update_device_map", lambda self, device_map: {"": "cpu"})
    full, small = (UNet2DConditionModel.from_pretrained(f"{name}/unet") for name in ("full", "small"))
    quantised = 0
    for name, layer in full.named_modules():
        if type(layer) is torch.nn.Linear:
            read = small.get_submodule(name)
            assert isinstance(read, bnb.nn.Linear4bit)
            weight = bnb.functional.dequantize_4bit(read.weight.data, read.weight.quant_state).float()
            assert (weight - layer.weight).abs().max() < 0.16 * layer.weight.abs().max(), (
                name
            )  # half of NF4's widest gap
            quantised += 1
    assert quantised > 10

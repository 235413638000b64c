"""A quantised base is asked of bitsandbytes, and what is absent for it is named before anything is read."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from difflab.core.base.errors import DifflabError
from difflab.models import lora

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")


def test_without_the_package_the_line_says_how_to_get_it_or_do_without(tmp_path, monkeypatch):
    monkeypatch.setattr(lora, "find_spec", lambda name: None)
    expected = r"^finetune.base is 4bit and bitsandbytes is not installed: pip install bitsandbytes, or .*base=full$"
    with pytest.raises(DifflabError, match=expected):
        lora.load_quantised(tmp_path, "4bit", CUDA, torch.bfloat16)


def test_without_a_gpu_the_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(lora, "find_spec", lambda name: SimpleNamespace())
    with pytest.raises(DifflabError, match=r"8bit, which wants an NVIDIA GPU, and runtime\.device is cpu"):
        lora.load_quantised(tmp_path, "8bit", CPU, torch.bfloat16)


@pytest.mark.parametrize(
    ("precision", "asked"),
    [
        ("8bit", {"load_in_8bit": True}),
        ("4bit", {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.bfloat16}),
    ],
)
def test_the_base_is_read_onto_the_gpu_in_so_many_bits(precision, asked, monkeypatch):
    read = {}

    def from_pretrained(path, **options):
        read.update(options, path=path)
        return torch.nn.Linear(1, 1), {"missing_keys": set()}

    monkeypatch.setattr(lora, "find_spec", lambda name: SimpleNamespace())
    monkeypatch.setattr("diffusers.BitsAndBytesConfig", lambda **bits: bits)
    monkeypatch.setattr("diffusers.models.SD3Transformer2DModel.from_pretrained", from_pretrained)
    lora.load_quantised(Path("base"), precision, CUDA, torch.bfloat16)
    assert read["path"] == Path("base/transformer")
    assert read["quantization_config"] == asked
    assert read["device_map"] == {"": CUDA}
    assert read["torch_dtype"] == torch.bfloat16

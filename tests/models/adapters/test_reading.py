"""Files that are no adapter, or do not fit: one line that names the tensor and the remedy."""

import json

import pytest
import torch
from safetensors.torch import save_file

from difflab.core.base.errors import DifflabError
from difflab.models.adapters.diffusers_format import METADATA_KEY
from difflab.models.adapters.fit import check_fit
from difflab.models.adapters.reading import located, read_adapter

LAYER = "transformer.transformer_blocks.0.attn.to_q"
LAYERS = {LAYER: (6, 4), "transformer.transformer_blocks.0.attn.to_k": (6, 4)}
A, B = f"{LAYER}.lora_A.weight", f"{LAYER}.lora_B.weight"
KOHYA = "lora_unet_down_blocks_0_attentions_0_proj_in"


def good() -> dict[str, torch.Tensor]:
    return {A: torch.ones(2, 4), B: torch.ones(6, 2)}


def told(**config) -> dict[str, str]:
    return {METADATA_KEY: json.dumps({f"transformer.{name}": value for name, value in config.items()})}


def file(folder, tensors, header=None):
    path = folder / "pytorch_lora_weights.safetensors"
    save_file(tensors, path, metadata=header)
    return path


def message(path) -> str:
    with pytest.raises(DifflabError) as caught:
        check_fit(read_adapter(path).updates(LAYERS), LAYERS, str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_a_header_the_scale_is_one_as_in_diffusers(tmp_path):
    part = read_adapter(file(tmp_path, good())).updates(LAYERS)[LAYER]
    assert part.scale == 1
    assert torch.equal(part.delta(), torch.full((6, 4), 2.0))


@pytest.mark.parametrize(
    ("header", "scale"),
    [
        (told(r=2, lora_alpha=8), 4),
        (told(r=2, lora_alpha=8, alpha_pattern={"attn.to_q": 1}), 0.5),
        (told(r=5, lora_alpha=8, rank_pattern={r"transformer_blocks\.0\.attn\.to_q": 2}), 4),
        (told(r=2, lora_alpha=8, use_rslora=True), 8 / 2**0.5),
    ],
)
def test_the_header_says_the_scale(tmp_path, header, scale):
    assert read_adapter(file(tmp_path, good(), header)).updates(LAYERS)[LAYER].scale == pytest.approx(scale)


@pytest.mark.parametrize(
    ("change", "header", "words"),
    [
        ({B: None}, None, f"lacks '{B}'"),
        ({A: None}, None, f"lacks '{A}'"),
        ({f"{LAYER}.lora_magnitude_vector": torch.ones(6)}, None, "holds DoRA, and only plain LoRA"),
        ({f"{LAYER}.extra.weight": torch.ones(6)}, None, "no part of a LoRA adapter"),
        ({"text.lora_A.weight": torch.ones(2, 4)}, None, "its tensor 'text.lora_A.weight' belongs to none"),
        ({A: torch.full((2, 4), torch.nan)}, None, f"'{A}' holds NaN"),
        ({A: torch.full((2, 4), 1e6).half()}, None, f"'{A}' holds NaN or infinity"),
        ({A: torch.ones(2, 4, dtype=torch.int8)}, None, f"'{A}' holds int8, no fractions: it is quantised"),
        ({A: torch.ones(3, 4)}, None, "[3, 4] and [6, 2], which have no rank in common"),
        ({A: torch.ones(2, 0)}, None, "[2, 0] and [6, 2], which have no rank in common"),
        ({}, told(r=4, lora_alpha=8), "says rank 4 of"),
        ({}, told(r=2, lora_alpha=8, init_lora_weights="pissa_niter_16"), "holds PiSSA, which changes the base too"),
        ({}, told(r=2, lora_alpha=0), "says alpha 0 of"),
        ({}, told(r=2, lora_alpha=-1.0), "says alpha -1 of"),
        ({f"{LAYER}.alpha": torch.tensor(0.0)}, None, "says alpha 0 of"),
        ({f"{LAYER}.alpha": torch.ones(2)}, None, "is [2], not one number"),
        ({}, told(r=2, lora_alpha=8, alpha_pattern={"attn.to_q(": 1}), "unterminated subpattern"),
        ({}, told(r=2, lora_alpha=10**400), "int too large to convert to float"),
        ({}, {METADATA_KEY: "{"}, "damaged header"),
        ({}, {METADATA_KEY: "[]"}, "damaged header"),
        ({A: torch.ones(2, 5)}, None, "is [6, 4] in the base and [6, 5] in the adapter"),
        ({A: None, B: None, A.replace("0", "7"): good()[A], B.replace("0", "7"): good()[B]}, None, "the base has no layer"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, change, header, words):
    tensors = {name: tensor for name, tensor in (good() | change).items() if tensor is not None}
    path = file(tmp_path, tensors, header)
    assert words in message(path)
    assert str(path) in message(path)


def test_kohyas_keys_of_another_base(tmp_path):
    path = tmp_path / "style.safetensors"
    save_file({f"{KOHYA}.lora_down.weight": torch.ones(2, 4), f"{KOHYA}.lora_up.weight": torch.ones(6, 2)}, path)
    assert f"'{KOHYA}' is no layer of the base" in message(path)
    assert read_adapter(path).denoiser == "unet"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "unreadable"), (b"PK\x03\x04", "unreadable"), (b"\x08\0\0\0\0\0\0\0{}      ", "it holds no tensor")],
)
def test_a_file_of_another_kind(tmp_path, content, words):
    (tmp_path / "a.safetensors").write_bytes(content)
    assert words in message(tmp_path / "a.safetensors")


def test_a_file_that_was_cut_off(tmp_path):
    path = file(tmp_path, good())
    path.write_bytes(path.read_bytes()[:-8])
    assert "unreadable" in message(path)


def test_a_pickle_is_never_opened(tmp_path):
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    assert "is a pickle" in message(tmp_path / "adapter_model.bin")


def test_a_checkpoint_of_a_whole_model_is_no_adapter(tmp_path):
    save_file({"transformer_blocks.0.attn.to_q.weight": torch.ones(2, 2)}, tmp_path / "model.safetensors")
    assert "is no LoRA adapter" in message(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    assert "holds no adapter" in message(tmp_path)


def test_of_several_files_in_a_folder_one_must_be_named(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors").touch()
    assert "holds 2 adapters (a.safetensors, b.safetensors): name one of the files" in message(tmp_path)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("hada_w1_a", "LoHa"), ("lokr_w2", "LoKr"), ("dora_scale", "DoRA"), ("oft_blocks", "OFT"), ("on_input", "IA3"),
        ("diff", "differences of whole weights"), ("lora_mid.weight", "LoRA of convolutions by a Tucker decomposition"),
    ],
)  # fmt: skip
def test_other_kinds_of_adapters_are_named(tmp_path, name, kind):
    """As LyCORIS writes them: under kohya's keys, or under its own."""
    for layer in (KOHYA, "lycoris_unet_mid_block_attentions_0_proj_in"):
        path = tmp_path / f"{layer}.safetensors"
        save_file({f"{layer}.{name}": torch.ones(2, 4), f"{layer}.alpha": torch.tensor(1.0)}, path)
        assert f"{path} holds {kind}, and only plain LoRA adapters can be read" in message(path)


def test_other_kinds_of_peft(tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LOHA"}))
    assert "without adapter_model.safetensors" in message(tmp_path)
    save_file(
        {"base_model.model.transformer_blocks.0.attn.to_q.hada_w1_a": torch.ones(2, 2)},
        tmp_path / "adapter_model.safetensors",
    )
    assert "holds LOHA" in message(tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "use_dora": True}))
    assert "holds DoRA" in message(tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps({"init_lora_weights": "olora"}))
    assert "holds OLoRA, which changes the base too" in message(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{")
    assert "unreadable" in message(tmp_path)


def test_pefts_own_folder_of_one_model(tmp_path):
    """As `PeftModel.save_pretrained` writes it, which does not say which part of a pipeline it belongs to."""
    tensors = {
        f"base_model.model.transformer_blocks.0.attn.to_q.lora_{k}.weight": good()[n] for k, n in (("A", A), ("B", B))
    }
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 6}))
    assert read_adapter(tmp_path).updates(LAYERS)[LAYER].scale == 3


def test_of_several_trainings_the_first_is_taken(tmp_path):
    for seed in (10, 2):
        (tmp_path / f"seed-{seed}").mkdir()
        file(tmp_path / f"seed-{seed}", good())
    assert located(tmp_path).parent.name == "seed-2"


def test_a_path_that_is_not_there(tmp_path):
    assert "does not exist" in message(tmp_path / "absent")


TEXT = "encoder.layers.0.self_attn.q_proj"
UNET = "unet.down_blocks.0.attentions.0.proj_in"
NAMES = {  # of one layer, in the ways of several programs
    "text model": (f"text_encoder.{TEXT}", f"text_encoder.text_model.{TEXT}"),
    "kohya": (f"lora_te_text_model_{TEXT.replace('.', '_')}", f"lora_te1_text_model_{TEXT.replace('.', '_')}"),
    "two formats": (KOHYA, UNET),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_layer_under_two_names_is_refused(tmp_path, kind):
    layers = {f"text_encoder.text_model.{TEXT}": (6, 4), UNET: (6, 4)}
    tensors = {}
    for name in NAMES[kind]:
        down, up = ("lora_down", "lora_up") if name.startswith("lora_") else ("lora_A", "lora_B")
        tensors |= {f"{name}.{down}.weight": torch.ones(2, 4), f"{name}.{up}.weight": torch.ones(6, 2)}
    with pytest.raises(DifflabError, match=r"adapts '.*' twice, under two names: keep one"):
        read_adapter(file(tmp_path, tensors)).updates(layers)

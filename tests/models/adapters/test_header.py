"""The header of an exported file, and its bytes."""

import hashlib

import torch
from safetensors import safe_open
from safetensors.torch import load

from difflab.models.adapters.header import Description, header, packed
from difflab.models.adapters.model_card import model_card
from difflab.models.adapters.updates import Update

UNET = {"unet.conv_in": Update(torch.ones(2, 4, 3, 3), torch.ones(6, 2, 1, 1), 4.0)}
SD3 = {"transformer.transformer_blocks.0.attn.to_q": Update(torch.ones(2, 4), torch.ones(6, 2), 4.0)}


def described(**changes) -> Description:
    values = {
        "title": "cat", "base": "a/base", "loads_from": "a/base", "licence": "MIT", "resolution": 512,
        "prediction": "v_prediction", "settings": {"learning_rate": 1e-4, "steps": 400, "seed": 3}, "scores": {"fid": 8.25},
        "prompts": ("a sks cat",),
    }  # fmt: skip
    return Description(**{**values, **changes})


def test_modelspec_has_what_it_demands():
    fields = header(UNET, described())
    assert fields["modelspec.sai_model_spec"] == "1.0.0"
    assert fields["modelspec.architecture"] == "stable-diffusion-v1/lora"
    assert header(SD3, described(prediction=""))["modelspec.architecture"] == "stable-diffusion-3/lora"
    assert {"implementation", "title", "resolution"} <= {name.removeprefix("modelspec.") for name in fields}
    assert fields["modelspec.prediction_type"] == "v"
    assert "modelspec.prediction_type" not in header(SD3, described(prediction=""))


def test_kohyas_fields_say_rank_alpha_and_training():
    fields = header(UNET, described())
    names = ("network_dim", "network_alpha", "learning_rate", "max_train_steps", "seed", "base_model_version")
    assert [fields[f"ss_{name}"] for name in names] == ["2", "4.0", "0.0001", "400", "3", "sd_v1"]


def test_the_bytes_are_the_same_whatever_the_order_and_hold_their_own_hash(tmp_path):
    tensors, fields = {"b": torch.arange(3), "a": torch.ones(2, 2)}, header(UNET, described())
    content = packed(tensors, fields)
    assert content == packed(dict(reversed(tensors.items())), dict(reversed(fields.items())))
    assert {name: tensor.tolist() for name, tensor in load(content).items()} == {"a": [[1, 1], [1, 1]], "b": [0, 1, 2]}
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with safe_open(path, framework="pt") as file:
        read = file.metadata()
    length = int.from_bytes(content[:8], "little")
    assert read == fields | {"modelspec.hash_sha256": f"0x{hashlib.sha256(content[8 + length :]).hexdigest()}"}
    assert (8 + length) % 8 == 0


def test_the_card_names_base_settings_prompts_scores_and_licence():
    card = model_card("diffusers", SD3, described(call="max_sequence_length=77"), "x.safetensors")
    assert card.startswith("---\nbase_model: a/base\nlibrary_name: diffusers\nlicense: mit\n")
    for words in ("| learning rate | 0.0001 |", "- a sks cat", "| fid | 8.25 |", "| rank | 2 |", "under MIT"):
        assert words in card
    assert "pipeline('a sks cat', max_sequence_length=77)" in card
    bare = model_card("comfyui", SD3, described(scores={}, prompts=(), licence="Some Licence"), "x.safetensors")
    assert "None were measured." in bare
    assert "license: other\nlicense_name: some-licence" in bare
    assert "`x.safetensors`" in bare

"""LoRA adapters: targets, files, round trips."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from difflab.core.base.errors import DifflabError
from difflab.sd3.artifacts.adapters import (
    FILE_NAME,
    adapt,
    as_base,
    base_fingerprint,
    load_adapter,
    matched_modules,
    peft_config,
    save_adapter,
)
from fakes.flow import JOINT, POOLED, SIZE, TOKENS, lora_settings, tiny_transformer

COMPONENTS = {"vae": "1" * 16, "text_encoders": "2" * 16}
ATTN = 8 + 8 + 7  # the last block has no to_add_out


def output(transformer):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        return transformer(
            hidden_states=torch.randn(2, 4, SIZE, SIZE, generator=generator),
            timestep=torch.tensor([100.0, 900.0]),
            encoder_hidden_states=torch.randn(2, TOKENS, JOINT, generator=generator),
            pooled_projections=torch.randn(2, POOLED, generator=generator),
        ).sample


def trained(settings):
    """A tiny transformer whose adapter does something."""
    transformer = tiny_transformer()
    adapt(transformer, settings, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in transformer.parameters():
            if parameter.requires_grad:
                parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return transformer.eval()


def test_a_fresh_adapter_changes_nothing_and_freezes_the_base():
    transformer, base = tiny_transformer(), tiny_transformer()
    modules = adapt(transformer, lora_settings(), seed=1)
    assert torch.equal(output(transformer), output(base))
    assert len(modules) == ATTN
    assert all(".lora_" in n for n, p in transformer.named_parameters() if p.requires_grad)
    assert sum(p.numel() for p in transformer.parameters() if p.requires_grad) == ATTN * 4 * (16 + 16)


def test_its_weights_are_float32_and_depend_on_the_seed_only():
    def weights(seed):
        transformer = tiny_transformer().to(torch.bfloat16)
        adapt(transformer, lora_settings(), seed)
        return torch.cat([p.flatten() for p in transformer.parameters() if p.requires_grad])

    torch.manual_seed(0)
    first = weights(1)
    torch.manual_seed(5)
    assert first.dtype == torch.float32
    assert torch.equal(weights(1), first)
    assert not torch.equal(weights(2), first)


@pytest.mark.parametrize("alpha", [1.0, 4.0, 16.0])
def test_a_reloaded_adapter_gives_the_same_output(tmp_path, alpha):
    """Rank is 4: the scale alpha / rank must travel with the file."""
    settings = lora_settings(alpha=alpha, blocks=[0, 2])
    transformer = trained(settings)
    save_adapter(tmp_path, transformer, settings, COMPONENTS)
    fresh = tiny_transformer().eval()
    before = output(fresh)
    load_adapter(fresh, tmp_path, COMPONENTS)
    assert (output(fresh) - output(transformer)).abs().max() < 1e-6
    assert (output(fresh) - before).abs().max() > 1e-3
    fresh.unload_lora()
    assert torch.equal(output(fresh), before)


def test_diffusers_pipeline_loads_it_with_its_alpha(tmp_path):
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, StableDiffusion3Pipeline

    settings = lora_settings(alpha=1.0)
    transformer = trained(settings)
    save_adapter(tmp_path, transformer, settings, COMPONENTS)
    pipeline = StableDiffusion3Pipeline(
        transformer=tiny_transformer().eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4),
        **dict.fromkeys(f"{kind}{n}" for kind in ("text_encoder", "tokenizer") for n in ("", "_2", "_3")),
    )
    pipeline.load_lora_weights(str(tmp_path))
    assert (output(pipeline.transformer) - output(transformer)).abs().max() < 1e-6


def test_peft_loads_it_with_its_alpha(tmp_path):
    from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict

    settings = lora_settings(alpha=1.0, targets=["attn", "ff"])
    transformer = trained(settings)
    save_adapter(tmp_path, transformer, settings, COMPONENTS)
    with safe_open(tmp_path / FILE_NAME, framework="pt") as file:
        facts = json.loads(file.metadata()["lora_adapter_metadata"])
        tensors = {n.removeprefix("transformer."): file.get_tensor(n) for n in file.keys()}  # noqa: SIM118
    arguments = {n.removeprefix("transformer."): v for n, v in facts.items() if n.startswith("transformer.")}
    fresh = inject_adapter_in_model(LoraConfig(**arguments), tiny_transformer().eval())
    assert not set_peft_model_state_dict(fresh, tensors).unexpected_keys
    assert (output(fresh) - output(transformer)).abs().max() < 1e-6


def test_the_file_says_what_it_is_and_is_the_same_every_time(tmp_path):
    settings = lora_settings(alpha=2.0, blocks=[1])
    transformer = trained(settings)
    for name in ("a", "b"):
        save_adapter(tmp_path / name, transformer, settings, COMPONENTS)
    assert (tmp_path / "a" / FILE_NAME).read_bytes() == (tmp_path / "b" / FILE_NAME).read_bytes()
    with safe_open(tmp_path / "a" / FILE_NAME, framework="pt") as file:
        facts = json.loads(file.metadata()["lora_adapter_metadata"])
    assert (facts["transformer.r"], facts["transformer.lora_alpha"]) == (4, 2.0)
    assert (facts["difflab.targets"], facts["difflab.blocks"]) == (["attn"], [1])
    assert facts["difflab.base"] == base_fingerprint(tiny_transformer())
    assert (facts["difflab.vae"], facts["difflab.text_encoders"]) == ("1" * 16, "2" * 16)


def test_a_file_of_another_base_is_refused(tmp_path):
    settings = lora_settings()
    save_adapter(tmp_path, trained(settings), settings, COMPONENTS)
    with pytest.raises(DifflabError, match="another base transformer"):
        load_adapter(tiny_transformer(seed=1), tmp_path, COMPONENTS)
    with pytest.raises(DifflabError, match="another base transformer"):
        load_adapter(tiny_transformer(sample_size=8), tmp_path, COMPONENTS)


@pytest.mark.parametrize(("part", "name"), [("vae", "another autoencoder"), ("text_encoders", "other text encoders")])
def test_an_adapter_trained_with_other_components_is_refused(tmp_path, part, name):
    settings = lora_settings()
    save_adapter(tmp_path, trained(settings), settings, COMPONENTS)
    with pytest.raises(DifflabError, match=rf"was trained with {name} \(.*, not 3333.*\): run its finetune stage"):
        load_adapter(tiny_transformer(), tmp_path, {**COMPONENTS, part: "3" * 16})


def test_without_an_alpha_the_rank_is_taken():
    scales = [peft_config(tiny_transformer(), lora_settings(rank=2, alpha=a))["lora_alpha"] for a in (None, 4)]
    assert scales == [2, 4]


def test_files_that_are_absent_or_foreign_are_refused(tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(DifflabError, match="is missing: run the finetune stage"):
        load_adapter(tiny_transformer(), tmp_path, COMPONENTS)
    save_file({"transformer.x.lora_A.weight": torch.zeros(1)}, tmp_path / FILE_NAME)
    with pytest.raises(DifflabError, match="not written by difflab"):
        load_adapter(tiny_transformer(), tmp_path, COMPONENTS)


def test_the_fingerprint_sees_weights_but_not_adapters_or_precision():
    base = base_fingerprint(tiny_transformer())
    assert base_fingerprint(trained(lora_settings())) == base
    assert base_fingerprint(tiny_transformer().to(torch.bfloat16)) == base
    other = tiny_transformer()
    with torch.no_grad():
        other.transformer_blocks[1].attn.to_q.weight.mul_(1.1)
    assert base_fingerprint(other) != base


def test_an_adapter_of_a_quantised_base_belongs_to_the_full_one(tmp_path):
    """Its own numbers are packed, so that none of them is the full base's."""
    full, quantised = tiny_transformer(), trained(lora_settings())
    with torch.no_grad():
        quantised.proj_out.weight.zero_()
    save_adapter(tmp_path, as_base(quantised, full), lora_settings(), COMPONENTS)
    load_adapter(tiny_transformer(), tmp_path, COMPONENTS)
    assert base_fingerprint(quantised) == base_fingerprint(full)


def test_the_second_attention_of_sd35_has_its_own_preset():
    """PEFT's usual suffixes leave it out silently."""
    model = tiny_transformer(dual_attention_layers=(0, 1))
    only_first = matched_modules(model, lora_settings(targets=["attn"]))
    both = matched_modules(model, lora_settings(targets=["attn", "attn2"]))
    assert len(only_first) == ATTN
    assert sorted(set(both) - set(only_first)) == [
        f"transformer_blocks.{b}.attn2.{n}" for b in (0, 1) for n in ("to_k", "to_out.0", "to_q", "to_v")
    ]


@pytest.mark.parametrize("targets", [["attn"], ["attn", "ff"], ["attn.to_q"], ["ff_context", "attn.to_k"]])
@pytest.mark.parametrize("blocks", ["all", [1], [2, 0]])
def test_peft_adapts_exactly_the_matched_modules(targets, blocks):
    settings, transformer = lora_settings(targets=targets, blocks=blocks), tiny_transformer()
    modules = adapt(transformer, settings, seed=0)
    adapted = {n.split(".lora_")[0] for n, p in transformer.named_parameters() if p.requires_grad}
    assert adapted == set(modules)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": ["attn.to_qq"]}, r"'attn.to_qq' matches no linear layer; the nearest are .*attn\.to_q"),
        ({"targets": ["attn", "attn2"]}, "'attn2' matches no linear layer"),
        ({"targets": ["attn", "attn.add_q"]}, r"'attn.add_q' matches no linear layer; .*attn\.add_q_proj"),
        ({"targets": ["attn.to_add_out"], "blocks": [2]}, "'attn.to_add_out' matches no linear layer"),
        ({"blocks": [0, 3]}, "block 3 does not exist; the transformer has 0 to 2"),
    ],
)
def test_targets_and_blocks_that_do_not_exist_are_errors(changes, message):
    with pytest.raises(DifflabError, match=message):
        adapt(tiny_transformer(), lora_settings(**changes), seed=0)


def edited(folder, change, facts=None):
    """Write the saved file again with its tensors and its description changed."""
    path = folder / FILE_NAME
    with safe_open(path, framework="pt") as file:
        tensors, metadata = {k: file.get_tensor(k) for k in file.keys()}, file.metadata()  # noqa: SIM118
    change(tensors)
    described = json.loads(metadata["lora_adapter_metadata"]) | (facts or {})
    save_file(tensors, path, metadata={"lora_adapter_metadata": json.dumps(described)})


LAST = "transformer.transformer_blocks.0.attn.to_q.lora_B.weight"


@pytest.mark.parametrize(
    ("change", "facts", "message"),
    [
        (lambda t: t.pop(LAST), {}, f"it lacks {LAST}"),
        (lambda t: t.update({LAST.replace("to_q", "to_z"): t[LAST].clone()}), {}, "to_z.* belongs to no adapted layer"),
        (lambda t: t.update({"transformer.alpha": torch.ones(1)}), {}, "alpha belongs to no adapted layer"),
        (lambda t: t.update({LAST: t[LAST][:, :-1].clone()}), {}, "lora_B.weight is .*, not"),
        (lambda t: t[LAST].view(-1)[3:4].fill_(float("nan")), {}, "holds NaN or infinity"),
        (lambda t: t[LAST].view(-1)[3:4].fill_(float("inf")), {}, "holds NaN or infinity"),
        (lambda t: None, {"transformer.r": 3}, "lora_A.weight is .*, not"),
        (lambda t: None, {"transformer.r": "2"}, "says rank 2, alpha"),
        (lambda t: None, {"transformer.lora_alpha": 0}, "alpha 0 and targets"),
        (lambda t: None, {"transformer.lora_alpha": None}, "alpha None and targets"),
        (lambda t: None, {"transformer.target_modules": ["to_q"]}, "and targets"),
        (lambda t: None, {"transformer.target_modules": "to_q)"}, r"^unreadable: .*unbalanced parenthesis"),
    ],
)
def test_an_adapter_has_every_tensor_of_its_description_once_and_no_other(tmp_path, change, facts, message):
    save_adapter(tmp_path, trained(lora_settings()), lora_settings(), COMPONENTS)
    edited(tmp_path, change, facts)
    with pytest.raises(DifflabError, match=message):
        load_adapter(tiny_transformer(), tmp_path, COMPONENTS)


def test_a_damaged_file_and_a_description_that_does_not_parse_are_refused(tmp_path):
    save_adapter(tmp_path, trained(lora_settings()), lora_settings(), COMPONENTS)
    save_file({LAST: torch.ones(1)}, tmp_path / FILE_NAME, metadata={"lora_adapter_metadata": "{"})
    with pytest.raises(DifflabError, match=r"^unreadable: .*safetensors .*: run its finetune stage again"):
        load_adapter(tiny_transformer(), tmp_path, COMPONENTS)
    (tmp_path / FILE_NAME).write_bytes(b"\x08\0\0\0\0\0\0\0nonsense")
    with pytest.raises(DifflabError, match=r"^unreadable: .*safetensors .*: run its finetune stage again"):
        load_adapter(tiny_transformer(), tmp_path, COMPONENTS)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_adapter_that_is_not_finite_is_not_saved(tmp_path, value):
    transformer = trained(lora_settings())
    with torch.no_grad():
        next(p for p in transformer.parameters() if p.requires_grad).view(-1)[0] = value
    with pytest.raises(DifflabError, match="is not written: 1 of the"):
        save_adapter(tmp_path / "a", transformer, lora_settings(), COMPONENTS)
    assert not list(tmp_path.rglob("*.safetensors"))

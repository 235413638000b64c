"""Capturing attention: the layers' own tensors, nothing changed, nothing left behind."""

import math

import pytest
import torch
from diffusers.schedulers import FlowMatchEulerDiscreteScheduler

from difflab.attention.affinity import affinities, tokens
from difflab.attention.capture import attention_layers, captured
from difflab.attention.records import StoredRecords, recorded, streamed
from difflab.core.base.errors import DifflabError
from difflab.sd3.sampling import sample
from fakes import tiny
from fakes.flow import CHANNELS, JOINT, POOLED, SIZE, tiny_transformer

PATCHES, PROMPT = (SIZE // 2) ** 2, 5
KINDS = {
    "sd3": {},
    "sd3.5": {"dual_attention_layers": (0, 1), "qk_norm": "rms_norm"},
    "miniature": {"patch_size": 1, "qk_norm": "rms_norm", "pos_embed_max_size": 16},
}


def given(batch=2):
    generator = torch.Generator().manual_seed(1)

    def normal(*shape):
        return torch.randn(batch, *shape, generator=generator)

    return {
        "hidden_states": normal(CHANNELS, SIZE, SIZE),
        "encoder_hidden_states": normal(PROMPT, JOINT),
        "pooled_projections": normal(POOLED),
        "timestep": torch.full((batch,), 500.0),
    }


@torch.no_grad()
def run(network, batch=2):
    return network(**given(batch), return_dict=False)[0]


def hooks(network):
    kinds = "_forward_hooks", "_forward_pre_hooks", "_forward_hooks_always_called"
    return sum(len(getattr(module, kind)) for module in network.modules() for kind in kinds)


@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS.keys())
def test_output_is_softmax_of_query_and_key_times_value_and_the_layer_s_own(changes):
    network = tiny_transformer(**changes)
    projected = {}
    for name, module in network.named_modules():
        if name.endswith(("attn.to_out.0", "attn2.to_out.0")):
            module.register_forward_pre_hook(lambda module, args, name=name: projected.update({name: args[0]}))
    with recorded(network, dtype=torch.float32) as records:
        run(network)
    assert records.steps == [0]
    assert len(records.layers) == 3 + len(changes.get("dual_attention_layers", ()))
    for layer in records.layers:
        query, key, value, output = records.get(0, layer)
        weights = torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]), dim=-1)
        torch.testing.assert_close(weights @ value, output, atol=1e-5, rtol=0)
        own = projected[f"{layer.name}.to_out.0"]  # the patches' part of the output, heads side by side
        merged = output.transpose(1, 2).flatten(2)[:, : own.shape[1]]
        torch.testing.assert_close(merged, own, atol=1e-5, rtol=0)


def test_joint_attention_holds_patches_then_prompt_and_the_second_attention_patches_alone():
    network = tiny_transformer(**KINDS["sd3.5"])
    with recorded(network) as records:
        run(network)
    shapes = {(layer.block, layer.kind): records.get(0, layer).query.shape for layer in records.layers}
    joint, alone = (2, 2, PATCHES + PROMPT, 8), (2, 2, PATCHES, 8)
    assert shapes == {
        **{(block, "joint"): joint for block in range(3)},
        **{(block, "picture"): alone for block in range(2)},
    }


@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS.keys())
def test_pictures_are_the_same_bytes_with_and_without(changes):
    network, scheduler = tiny_transformer(**changes), FlowMatchEulerDiscreteScheduler(shift=3.0)
    inputs = given()
    noise, embeds, pooled = (inputs[k] for k in ("hidden_states", "encoder_hidden_states", "pooled_projections"))

    def sampled():
        return sample(network, scheduler, 3, 2.5, noise, embeds, pooled, embeds[:1] * 0, pooled[:1] * 0)

    before = sampled()
    with recorded(network, rows=slice(2, None)) as records:
        during = sampled()
    assert before.numpy().tobytes() == during.numpy().tobytes() == sampled().numpy().tobytes()
    assert records.steps == [0, 1, 2]
    assert {len(records.get(0, layer).query) for layer in records.layers} == {2}  # the prompted half


def test_the_last_row_is_that_of_the_prompt_under_guidance():
    network, scheduler, inputs = tiny_transformer(), FlowMatchEulerDiscreteScheduler(), given(1)
    noise, embeds, pooled = (inputs[k] for k in ("hidden_states", "encoder_hidden_states", "pooled_projections"))
    with recorded(network, rows=slice(1, None), steps=[0], dtype=torch.float32) as guided:
        sample(network, scheduler, 2, 3.0, noise, embeds, pooled, embeds * 0, pooled * 0)
    with recorded(network, steps=[0], dtype=torch.float32) as alone:
        sample(network, scheduler, 2, 1.0, noise, embeds, pooled, embeds * 0, pooled * 0)
    for layer in alone.layers:
        torch.testing.assert_close(guided.get(0, layer).query, alone.get(0, layer).query, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("where", ["in a layer", "between", "in what takes it"])
def test_after_an_exception_no_hook_remains_and_the_network_works(where):
    network = tiny_transformer()
    before = run(network)

    def take(step, name, attended):
        if where == "in what takes it":
            raise RuntimeError("disk full")

    def fail():
        with captured(network, take):
            if where == "in a layer":
                network.transformer_blocks[1].attn.to_q.forward = lambda x: 1 / 0
            if where != "between":
                run(network)
            raise RuntimeError("stopped")

    with pytest.raises((RuntimeError, ZeroDivisionError)):
        fail()
    network.transformer_blocks[1].attn.to_q.__dict__.pop("forward", None)
    assert hooks(network) == 0
    assert torch.overrides._get_current_function_mode_stack() == []
    assert torch.equal(run(network), before)


def test_chosen_blocks_and_steps_alone_are_kept_in_half_precision():
    network = tiny_transformer()
    with recorded(network, blocks=[1], steps=[0, 2]) as records:
        for _ in range(3):
            run(network)
    assert (records.steps, [layer.name for layer in records.layers]) == ([0, 2], ["transformer_blocks.1.attn"])
    assert {tensor.dtype for tensor in records.get(2, records.layers[0])} == {torch.float16}


def test_streamed_records_are_those_in_memory(tmp_path):
    network = tiny_transformer()
    with recorded(network, rows=slice(1)) as held:
        run(network)
        run(network)
    with streamed(network, tmp_path / "kept", {"prompt": "a cat"}, rows=slice(1)):
        run(network)
        run(network)
    kept = StoredRecords(tmp_path / "kept")
    assert (kept.steps, kept.layers, kept.facts["prompt"]) == (held.steps, held.layers, "a cat")
    for step in held.steps:
        for layer in held.layers:
            assert all(map(torch.equal, kept.get(step, layer), held.get(step, layer)))
    assert sorted(file.name for file in (tmp_path / "kept").iterdir()) == [
        "capture.json",
        "step-0000.safetensors",
        "step-0001.safetensors",
    ]


def test_a_stream_that_is_interrupted_leaves_no_folder(tmp_path):
    network = tiny_transformer()
    folder = streamed(network, tmp_path / "kept")
    folder.__enter__()
    run(network)
    assert not folder.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)  # which goes on
    assert hooks(network) == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DifflabError, match="holds no captured attention"):
        StoredRecords(tmp_path / "kept")


def test_a_prompted_u_net_has_the_same_interface():
    denoiser = tiny.denoiser("prompted")
    x, condition = tiny.noise(2), tiny.told("prompted", 2)
    with torch.no_grad():
        before = denoiser(x, torch.ones(2), condition)
        with recorded(denoiser, dtype=torch.float32) as records:
            during = denoiser(x, torch.ones(2), condition)
    assert torch.equal(before, during)
    assert {layer.kind for layer in records.layers} == {"picture", "prompt"}
    given = tokens([(records, 0)], blocks=[records.layers[0].block], kind="prompt")
    weights = affinities(given, "attention", [0])
    assert weights.shape == (1, given.key.shape[1])
    torch.testing.assert_close(weights.sum(1), torch.ones(1))


def test_blocks_are_counted_and_others_refused():
    network = tiny_transformer()
    assert [layer.block for layer in attention_layers(network)] == [0, 1, 2]
    with pytest.raises(DifflabError, match="block 3 does not exist: the network has blocks 0 to 2"):
        attention_layers(network, [0, 3])
    with (
        pytest.raises(DifflabError, match="step 5 does not exist: this sampling has steps 0 to 0"),
        recorded(network, steps=[5]),
    ):
        run(network)
    with pytest.raises(DifflabError, match="Linear has no attention layer"):
        attention_layers(torch.nn.Linear(1, 1))


def test_what_was_not_captured_is_refused_by_name():
    network = tiny_transformer()
    with recorded(network, blocks=[1]) as records:
        run(network)
    for blocks, steps, kind, line in (
        ([0], None, "joint", "block 0 was not captured: there are 1"),
        (None, [4], "joint", "step 4 was not captured: there are 0"),
        (None, None, "prompt", "no layer of the kind 'prompt' was captured, only joint"),
    ):
        with pytest.raises(DifflabError, match=line):
            records.chosen(blocks, steps, kind)

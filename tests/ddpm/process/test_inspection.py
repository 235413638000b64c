"""The anatomy names every part of a U-Net, the maps say where words act, and neither changes the network."""

import pytest
import torch
from diffusers.models.attention_processor import Attention

from difflab.ddpm.common.networks import build_unet
from difflab.ddpm.process.inspection import anatomy, recorded, word_maps
from difflab.ddpm.sampling.series_sampler import SeriesSampler
from fakes.tiny import denoiser, names, sampling, unet_params

SIZES = unet_params(block_out_channels=[8, 16], attention_levels=[1], attention_head_dim=8)
X = torch.zeros(1, 3, 16, 16)


def by_class():
    network = build_unet(SIZES, size=16, channels=3, seed=0, num_classes=10)
    return network, {"class_labels": torch.tensor([3])}


def by_prompt():
    network = build_unet(SIZES, size=16, channels=3, cross_attention_dim=8, seed=0)
    return network, {"encoder_hidden_states": torch.zeros(1, 4, 8)}


def without_condition():
    return build_unet(SIZES, size=16, channels=3, seed=0), {}


@pytest.mark.parametrize("make", [without_condition, by_class, by_prompt])
def test_the_parts_make_up_the_whole_network(make):
    network, condition = make()
    table = anatomy(network, X, condition)
    assert table["parameters"].sum() == sum(p.numel() for p in network.parameters())
    assert table["share"].sum() == pytest.approx(1)
    assert table["part"].is_unique
    assert {"conv_in", "down_blocks.0", "down_blocks.1", "mid_block", "up_blocks.0", "up_blocks.1"} <= set(
        table["part"]
    )


@pytest.mark.parametrize("make", [without_condition, by_class, by_prompt])
def test_shapes_are_those_of_one_pass_from_input_to_output(make):
    network, condition = make()
    table = anatomy(network, X, condition).set_index("part")
    shapes = {part: (row["input"], row["output"]) for part, row in table.iterrows()}
    assert shapes["conv_in"] == ("3 x 16 x 16", "8 x 16 x 16")
    assert shapes["down_blocks.0"] == ("8 x 16 x 16", "8 x 8 x 8")
    assert shapes["down_blocks.1"] == ("8 x 8 x 8", "16 x 8 x 8")
    assert shapes["mid_block"] == ("16 x 8 x 8", "16 x 8 x 8")
    assert shapes["up_blocks.0"] == ("16 x 8 x 8", "16 x 16 x 16")
    assert shapes["up_blocks.1"] == ("16 x 16 x 16", "8 x 16 x 16")
    assert shapes["conv_out"] == ("8 x 16 x 16", "3 x 16 x 16")


def test_parts_are_listed_in_the_order_in_which_they_act():
    network, condition = by_class()
    parts = anatomy(network, X, condition)["part"].tolist()
    acting = ["conv_in", "down_blocks.0", "down_blocks.1", "mid_block", "up_blocks.0", "up_blocks.1", "conv_out"]
    assert [part for part in parts if part in acting] == acting


def test_kinds_are_the_names_of_diffusers_classes():
    network, condition = by_prompt()
    kinds = anatomy(network, X, condition).set_index("part")["kind"]
    assert kinds["down_blocks.1"] == "CrossAttnDownBlock2D"
    assert kinds["mid_block"] == "UNetMidBlock2DCrossAttn"


def hooks(network) -> int:
    return sum(len(module._forward_hooks) for module in network.modules())


def test_the_network_keeps_no_hook_not_even_after_an_error():
    network, condition = by_class()
    anatomy(network, X, condition)
    assert hooks(network) == 0
    with pytest.raises(ValueError, match="class_labels"):
        anatomy(network, X, {})
    assert hooks(network) == 0


PROMPTS, ATTENTION_IDS, STEPS = ["three", "a handwritten four"], names(2), 5


@pytest.fixture(scope="module")
def sampler():
    return SeriesSampler(denoiser("prompted").eval(), (1, 8, 8), [])


def sample(sampler):
    return sampler.images(ATTENTION_IDS, PROMPTS, sampling(num_inference_steps=STEPS), seed=0, batch_size=2)


def test_recording_changes_no_image(sampler):
    without = sample(sampler)
    with recorded(sampler.denoiser.network.unet):
        assert (sample(sampler) == without).all()


def test_a_map_is_kept_for_each_step_of_each_layer_that_reads_words(sampler):
    unet = sampler.denoiser.network.unet
    layers = {name for name, _ in unet.named_modules() if name.endswith(".attn2")}
    with recorded(unet) as maps:
        sample(sampler)
    assert maps.keys() == layers
    assert layers
    for kept in maps.values():
        assert [one.shape[0::2] for one in kept] == [(2, 3)] * STEPS


def test_a_map_is_softmax_of_query_and_key_averaged_over_heads():
    torch.manual_seed(0)
    layer = Attention(query_dim=8, cross_attention_dim=6, heads=2, dim_head=4)
    pixels, words = torch.randn(2, 16, 8), torch.randn(2, 3, 6)
    with torch.no_grad(), recorded(torch.nn.ModuleDict({"block": torch.nn.ModuleDict({"attn2": layer})})) as maps:
        layer(pixels, encoder_hidden_states=words)
        q, k = layer.to_q(pixels), layer.to_k(words)
        heads = [q[..., h] @ k[..., h].transpose(1, 2) / 4**0.5 for h in (slice(0, 4), slice(4, 8))]
    torch.testing.assert_close(maps["block.attn2"][0], sum(scores.softmax(-1) for scores in heads) / 2)


@pytest.mark.parametrize("size", [8, 20])
def test_the_maps_of_all_words_sum_to_one_everywhere(sampler, size):
    with recorded(sampler.denoiser.network.unet) as recorded_maps:
        sample(sampler)
    maps = word_maps(recorded_maps, size)
    assert maps.shape == (2, 3, size, size)
    assert maps.min() >= 0
    torch.testing.assert_close(maps.sum(1), torch.ones(2, size, size))


def test_nothing_is_recorded_after_the_block_not_even_after_an_error(sampler):
    unet = sampler.denoiser.network.unet
    with recorded(unet):
        assert hooks(unet) > 0
    assert hooks(unet) == 0
    with pytest.raises(KeyboardInterrupt), recorded(unet):
        raise KeyboardInterrupt
    assert hooks(unet) == 0

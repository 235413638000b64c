"""The anatomy names every part of a U-Net, with what goes in and comes out, and leaves the network as it was."""

import pytest
import torch

from difflab.ddpm.evaluation.anatomy import anatomy
from difflab.ddpm.networks.networks import build_conditional_unet, build_unet
from difflab.ddpm.params.networks import UNetParams

SIZES = UNetParams(
    kind="unet", patch_size=1, block_out_channels=[8, 16], layers_per_block=1,
    attention_levels=[1], norm_num_groups=4, attention_head_dim=8
)  # fmt: skip
X = torch.zeros(1, 3, 16, 16)


def by_class():
    network = build_unet(SIZES, size=16, channels=3, seed=0, num_classes=10)
    return network, {"class_labels": torch.tensor([3])}


def by_prompt():
    network = build_conditional_unet(SIZES, size=16, channels=3, cross_attention_dim=8, seed=0)
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

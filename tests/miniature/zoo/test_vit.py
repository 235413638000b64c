"""A vision transformer whose attention starts as a convolution, and its exact form as BLIP-2's image encoder."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from difflab.miniature.zoo import vit as vision
from fakes.zoo import size


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(2)) * 2 - 1


@torch.no_grad()
@torch.no_grad()
def test_blip2s_image_encoder_gives_the_same_hidden_states(images):
    from transformers.models.blip_2.modeling_blip_2 import Blip2VisionModel

    torch.manual_seed(0)
    vit = vision.build_vit(**size(num_hidden_layers=2).model_dump(), image_size=32, patch_size=8).eval()
    for parameter in vit.parameters():  # biases and gains not at their initial zeros and ones
        parameter += 0.1 * torch.randn(parameter.shape)
    encoder = Blip2VisionModel(vision.blip2_vision_config(vit)).eval()
    encoder.load_state_dict(vision.blip2_vision_weights(vit))
    expected = vit(pixel_values=images, output_hidden_states=True)
    result = encoder(pixel_values=images, output_hidden_states=True)
    torch.testing.assert_close(result.last_hidden_state, expected.last_hidden_state, atol=1e-5, rtol=0)
    assert len(result.hidden_states) == len(expected.hidden_states) == 3
    for mine, theirs in zip(result.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(("hidden_size", "heads", "patch_size"), [(96, 8, 4), (32, 2, 4), (64, 4, 8)])
@torch.no_grad()
def test_each_head_first_looks_at_its_neighbour(images, hidden_size, heads, patch_size):
    torch.manual_seed(0)
    shape = size(hidden_size=hidden_size, num_hidden_layers=2, num_attention_heads=heads).model_dump()
    vit = vision.build_vit(**shape, image_size=32, patch_size=patch_size)
    vit.set_attn_implementation("eager")
    grid = 32 // patch_size
    first = vit(pixel_values=images, output_attentions=True).attentions[0]  # [n, heads, tokens, tokens]
    neighbours = [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, 1), (-1, 1), (1, -1)][:heads]
    shares = []
    for head, (columns, rows) in enumerate(neighbours):
        for row in range(1, grid - 1):
            for column in range(1, grid - 1):
                here, there = 1 + row * grid + column, 1 + (row + rows) * grid + column + columns
                shares.append(first[:, head, here, there])
    shares = torch.stack(shares)
    assert shares.mean() > 0.75  # without this initialisation 1 / (number of tokens)
    assert (shares > 0.5).float().mean() > 0.85


@given(st.integers(1, 4), st.integers(-3, 3), st.integers(-3, 3))
def test_a_shift_takes_the_code_of_a_patch_to_that_of_another(quarter, columns, rows):
    grid, width = 7, 4 * quarter
    code = vision.position_code(grid, width).view(grid, grid, width)
    shifted = vision.position_shift(width, columns, rows) @ code[3, 3]
    torch.testing.assert_close(shifted, code[3 + rows, 3 + columns], atol=1e-5, rtol=0)


def test_the_position_code_is_sines_and_cosines_of_column_and_row():
    code = vision.position_code(4, 8).view(4, 4, 8)
    for row in range(4):
        for column in range(4):
            angles = [np.pi / 2 * column, np.pi / 4 * column, np.pi / 2 * row, np.pi / 4 * row]
            waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
            assert code[row, column].tolist() == pytest.approx(waves, abs=1e-6)

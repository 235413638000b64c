"""Heat maps: parts of rows, and pictures that change no data."""

import numpy as np
import torch

from difflab.attention.affinity import tokens
from difflab.attention.heatmap import on_patches, on_words, overlay, sheet, unit, word_rows
from difflab.attention.layout import CLIP, T5, Layout, Token

from .test_affinity import records

PLACED = Layout(2, 2, "a cat", (Token(CLIP, 4, "", 0, 0), Token(CLIP, 5, "cat", 2, 5), Token(T5, 6, "cat", 2, 5)))


def test_a_word_s_row_is_the_mean_over_its_tokens_and_splits_into_patches_and_words():
    both = tokens([(records(7), 0), (records(7), 1)])
    row = word_rows(both, "attention", PLACED.positions("cat"), offset=7)
    assert abs(float(row.sum()) - 1) < 1e-6
    torch.testing.assert_close(on_patches(row, PLACED, 7), row[7:11].reshape(2, 2))
    assert on_words(row, PLACED, CLIP, 7) == [("cat", float(row[12]))]


def test_drawing_changes_no_data():
    row = torch.arange(7.0)
    heat = on_patches(row, PLACED)
    before, picture = heat.clone(), np.full((8, 8, 3), 100, np.uint8)
    overlay(picture, heat, 16)
    unit(heat)
    heat += 1
    assert torch.equal(row, torch.arange(7.0))
    assert torch.equal(heat - 1, before)
    assert (picture == 100).all()


def test_the_hottest_patch_has_the_end_of_the_colour_map_and_others_let_the_picture_through():
    drawn = overlay(np.zeros((8, 8, 3), np.uint8), torch.tensor([[0.0, 1.0], [0.0, 0.5]]), 16)
    assert drawn.shape == (16, 16, 3)
    assert drawn[2, 12].tolist() == [240, 249, 33]  # the end of plasma, as matplotlib documents it
    assert (drawn[:8, 8:] == drawn[2, 12]).all()
    assert drawn[2, 2].sum() < drawn[12, 12].sum() < drawn[2, 12].sum()
    assert sheet([("a cat", [drawn])], ["cat"], 16).size[1] >= 16


def test_values_move_to_0_and_1_unless_they_are_equal():
    assert unit(torch.tensor([2.0, 4.0, 3.0])).tolist() == [0, 1, 0.5]
    assert unit(torch.ones(3)).tolist() == [0, 0, 0]

"""Scores of heat maps against masks, by hand."""

import itertools

import numpy as np
import pytest
import torch

from difflab.attention import scores
from difflab.attention.masks import patch_shares

SHARES = torch.tensor([[0.0, 0.5, 0.2, 0.0], [0.0, 0.0, 0.0, 0.05]])
TRUE = scores.truth(SHARES, 0.2)


def test_patches_of_the_thing_are_those_that_it_covers_enough_and_at_least_one():
    assert TRUE.tolist() == [[False, True, True, False], [False, False, False, True]]


def test_pointing_is_whether_the_hottest_patch_is_one_of_them():
    heat = torch.tensor([[0.1, 0.2, 0.7, 0.0], [0.5, 0.2, 0.2, 0.1]])
    assert scores.pointing(heat, TRUE).tolist() == [1, 0]
    assert scores.pointing(heat[:1].expand(3, 4), TRUE[0]).tolist() == [1, 1, 1]


def test_overlap_is_of_as_many_of_the_hottest_patches():
    heat = torch.tensor([[0.4, 0.1, 0.3, 0.2], [0.0, 0.1, 0.2, 0.7]])
    assert scores.overlap(heat, TRUE).tolist() == pytest.approx([1 / 3, 1])  # {0, 2} and {1, 2}: one of three


def test_others_are_the_masks_of_the_other_pictures():
    hot = torch.tensor([2, 3])
    assert scores.others(hot, TRUE).tolist() == [0, 0]
    assert scores.others(torch.tensor([3, 2]), TRUE).tolist() == [1, 1]


def test_chance_is_the_mean_over_all_choices():
    found = scores.without_network(SHARES[:1], TRUE[:1], SHARES[1:])
    pairs = [set(pair) for pair in itertools.combinations(range(4), 2)]
    expected = np.mean([len(p & {1, 2}) / len(p | {1, 2}) for p in pairs])
    assert found["chance_pointing_accuracy"] == 0.5
    assert found["chance_iou"] == pytest.approx(expected)
    assert found["prior_pointing_accuracy"] == 0  # the other picture's thing is in the last patch


def test_shares_of_patches_are_areas():
    mask = np.zeros((4, 4), bool)
    mask[0, :3] = True
    assert patch_shares(mask, (2, 2)).tolist() == [0.5, 0.25, 0, 0]

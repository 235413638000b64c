"""Deterministic degradations, and the walk back from them."""

from functools import partial

import pytest
import torch
from scipy import ndimage

from difflab.ddpm.cold import blur, cold_corruption, mask, restore

IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
DEGRADATIONS = {"blur": partial(blur, widest=4.0), "mask": mask}


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_strength_zero_changes_nothing(name):
    torch.testing.assert_close(DEGRADATIONS[name](IMAGES, torch.zeros(4)), IMAGES, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_more_strength_leaves_less_of_the_image(name):
    spreads = [DEGRADATIONS[name](IMAGES, torch.full((4,), s)).std().item() for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert spreads == sorted(spreads, reverse=True)


def test_the_blur_is_scipys():
    blurred = blur(IMAGES, torch.ones(4), widest=3.0)
    expected = ndimage.gaussian_filter(IMAGES.numpy(), 3.0, axes=(2, 3), mode="mirror", truncate=3.0)
    torch.testing.assert_close(blurred, torch.from_numpy(expected), atol=1e-5, rtol=0)


def test_a_full_mask_leaves_grey():
    assert mask(IMAGES, torch.ones(4)).abs().max() == 0


def test_each_image_has_its_own_strength():
    degradation, strength = DEGRADATIONS["blur"], torch.tensor([0.0, 0.3, 0.6, 1.0])
    together = degradation(IMAGES, strength)
    alone = torch.cat([degradation(IMAGES[n : n + 1], strength[n : n + 1]) for n in range(4)])
    torch.testing.assert_close(together, alone)


def test_training_strengths_are_the_levels():
    _, level = cold_corruption(mask, levels=4)(IMAGES[:1].expand(400, -1, -1, -1), torch.arange(400))
    assert sorted(set(level.tolist())) == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_a_perfect_restorer_walks_back_to_the_image(name):
    degradation = DEGRADATIONS[name]

    def perfect(x, strength):
        return IMAGES

    restored = restore(perfect, degradation, degradation(IMAGES, torch.ones(4)), steps=20)
    torch.testing.assert_close(restored, IMAGES, atol=1e-5, rtol=0)

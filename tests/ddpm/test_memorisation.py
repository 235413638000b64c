"""Copies are nearer to training images than to any others; fresh samples are not."""

import numpy as np
import pytest
import torch

from difflab.ddpm.memorisation import memory, memory_metrics, nearest


def images(count: int, purpose: int, size: int = 8) -> torch.Tensor:
    """Images of one distribution with few degrees of freedom, as natural ones have: uint8 [n, 3, size, size]."""
    basis = torch.randn(4, 3 * size * size, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(count, 4, generator=torch.Generator().manual_seed(purpose))
    return (127 + 25 * weights @ basis).clamp(0, 255).view(count, 3, size, size).to(torch.uint8)


TRAIN, HELD_OUT = images(400, 1), images(400, 2)


@pytest.mark.parametrize("size", [8, 64])
def test_copies_are_found_exactly(size):
    train, held_out = images(60, 1, size), images(60, 2, size)
    rows, ratio = memory(train[[7, 3, 59]], train, held_out)
    assert rows.tolist() == [7, 3, 59]
    assert ratio.tolist() == [0, 0, 0]
    assert memory_metrics(ratio) == {"median_ratio": 0, "memorised_share": 1, "least_ratio": 0}


def test_a_mirror_image_is_a_copy():
    rows, ratio = memory(TRAIN[:20].flip(-1), TRAIN, HELD_OUT)
    assert rows.tolist() == list(range(20))
    assert memory_metrics(ratio)["memorised_share"] == 1


def test_fresh_samples_are_as_near_to_training_images_as_to_others():
    metrics = memory_metrics(memory(images(300, 3), TRAIN, HELD_OUT)[1])
    assert metrics["median_ratio"] == pytest.approx(1, abs=0.1)
    assert metrics["memorised_share"] < 0.1


def test_copies_among_fresh_samples_are_counted():
    samples = torch.cat([images(30, 3), TRAIN[:10]])
    fresh, mixed = (memory_metrics(memory(s, TRAIN, HELD_OUT)[1])["memorised_share"] for s in (samples[:30], samples))
    assert mixed == pytest.approx((30 * fresh + 10) / 40)


def test_the_distance_is_the_root_mean_square_of_the_differences_in_levels():
    samples, targets = images(9, 3), images(5, 4)
    both = torch.cat([targets, targets.flip(-1)]).double()
    every = (samples.double()[:, None] - both).square().flatten(2).mean(2).sqrt()
    rows, distances = nearest(samples, targets)
    np.testing.assert_allclose(distances, every.min(1).values, rtol=1e-6)
    assert rows.tolist() == (every.argmin(1) % 5).tolist()


def test_samples_are_compared_in_parts_that_change_nothing():
    samples = images(9, 3)
    np.testing.assert_array_equal(nearest(samples, TRAIN), nearest(samples, TRAIN, chunk=4))


def test_metrics_are_median_least_and_share_below_one_half():
    metrics = memory_metrics(np.array([0.1, 0.49, 0.9, 1.1]))
    assert metrics == {"median_ratio": pytest.approx(0.695), "memorised_share": 0.5, "least_ratio": 0.1}

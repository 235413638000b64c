"""What nearest neighbours say of generated images, copies among them."""

import numpy as np
import pytest

from difflab.metrics.images.manifold import density_coverage, extrapolated_fid, precision_recall
from difflab.sd3.scoring.neighbours import MEASURES, Neighbours, nearest_distances


def drawn(count, seed, dimensions=6):
    return np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)


@pytest.fixture
def neighbours():
    return Neighbours(drawn(200, 0), drawn(300, 1), drawn(200, 2), seed=0)


def test_the_nearest_distance_is_that_of_all_pairs():
    a, b = drawn(20, 3), drawn(30, 4)
    pairs = np.linalg.norm(a[:, None].astype(float) - b[None], axis=2)
    assert nearest_distances(a, b) == pytest.approx(pairs.min(axis=1), rel=1e-12)
    assert nearest_distances(b[:3], b).tolist() == [0, 0, 0]


def test_images_of_the_same_distribution_are_no_nearer_than_unseen_ones(neighbours):
    found = neighbours.measure(drawn(400, 5))
    assert found["memory_ratio"] == pytest.approx(1, abs=0.1)
    assert found["memorised_share"] < 0.05


def test_copies_are_counted(neighbours):
    generated = drawn(100, 5)
    generated[:40] = neighbours.train[:40] + 0.01
    share = neighbours.measure(generated)["memorised_share"]
    assert 0.4 <= share < 0.45
    assert neighbours.measure(neighbours.train[:100])["memory_ratio"] == 0


def test_what_the_manifolds_say_is_that_of_the_reference(neighbours):
    generated, reference = drawn(100, 6), neighbours.reference
    found = neighbours.measure(generated)
    assert tuple(found) == MEASURES
    expected = precision_recall(generated, reference) | density_coverage(generated, reference)
    assert {name: found[name] for name in expected} == expected
    assert found["fid_infinity"] == extrapolated_fid(generated, reference, 0)

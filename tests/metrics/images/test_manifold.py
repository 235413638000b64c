"""Precision, recall, density and coverage against closed cases, plain loops and published packages; FID at 1/n = 0."""

import numpy as np
import pytest

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.metrics.images import manifold
from difflab.metrics.images.distances import frechet_distance, from_statistics, statistics
from difflab.metrics.images.manifold import density_coverage, extrapolated_fid, precision_recall, radii


def normal(purpose: str, *shape: int) -> np.ndarray:
    return rng.numpy_rng(0, purpose).normal(size=shape)


def two_sets() -> tuple[np.ndarray, np.ndarray]:
    """Generated and reference features that overlap in part."""
    return normal("generated", 200, 8) * 0.8 + 0.3, normal("reference", 300, 8)


def test_the_radius_is_the_way_to_the_kth_other_sample():
    line = np.array([[0.0], [1.0], [3.0], [7.0]])
    assert radii(line, 1).tolist() == [1, 1, 2, 4]
    assert radii(line, 2).tolist() == [3, 2, 3, 6]


def test_a_set_covers_itself_and_nothing_far_away():
    features, _ = two_sets()
    assert precision_recall(features, features) == {"precision": 1, "recall": 1}
    assert precision_recall(features + 1000, features) == {"precision": 0, "recall": 0}
    assert density_coverage(features + 1000, features) == {"density": 0, "coverage": 0}


def test_a_generator_of_one_mode_of_two_is_precise_and_lacks_recall():
    one, other = normal("one", 400, 4), normal("other", 400, 4) + 100
    scores = precision_recall(normal("made", 400, 4), np.concatenate([one, other]))
    assert scores["precision"] > 0.9
    assert 0.4 < scores["recall"] < 0.5
    assert 0.4 < density_coverage(normal("made", 400, 4), np.concatenate([one, other]))["coverage"] <= 0.5


def test_one_distribution_has_the_density_and_coverage_that_naeem_et_al_derive():
    """E density = 1; E coverage = 1 - (n-1)...(n-k) / ((2n-1)...(2n-k)) for n samples in each set, whatever it is."""
    n, k = 2000, 5
    scores = density_coverage(normal("a", n, 6), normal("b", n, 6), k)
    missed = np.prod([(n - i) / (2 * n - i) for i in range(1, k + 1)])
    assert scores["density"] == pytest.approx(1, abs=0.05)
    assert scores["coverage"] == pytest.approx(1 - missed, abs=0.015)


def test_values_are_those_of_torch_fidelity_and_prdc():
    """torch-fidelity 0.4.0 (`prc_features_to_metric`) and prdc 0.2 (`compute_prdc`), run on these sets."""
    assert precision_recall(*two_sets(), k=3) == {"precision": 0.94, "recall": 0.62}
    assert precision_recall(*two_sets(), k=5) == {"precision": 0.98, "recall": 0.76}
    assert density_coverage(*two_sets(), k=5) == pytest.approx({"density": 1.311, "coverage": 271 / 300})


def test_blocks_of_rows_change_nothing(monkeypatch):
    whole = precision_recall(*two_sets()) | density_coverage(*two_sets())
    monkeypatch.setattr(manifold, "_BLOCK", 7)
    assert precision_recall(*two_sets()) | density_coverage(*two_sets()) == whole


def test_the_extrapolated_distance_has_no_bias_of_few_images():
    d, cov = 24, np.diag(np.linspace(0.2, 2, 24))
    reference = normal("many", 5000, d) @ np.sqrt(cov)
    truth = from_statistics(np.full(d, 0.1), cov, *statistics(reference))
    samples = [normal(f"few {i}", 200, d) @ np.sqrt(cov) + 0.1 for i in range(20)]
    plain = np.mean([frechet_distance(x, reference) for x in samples])
    extrapolated = np.mean([extrapolated_fid(x, reference, seed) for seed, x in enumerate(samples)])
    assert plain > 3 * truth
    assert extrapolated == pytest.approx(truth, abs=0.1 * (plain - truth))


def test_the_extrapolation_depends_on_its_seed_alone():
    features, reference = two_sets()
    assert extrapolated_fid(features, reference, 1) == extrapolated_fid(features, reference, 1)
    assert extrapolated_fid(features, reference, 1) != extrapolated_fid(features, reference, 2)


def test_fewer_images_than_dimensions_have_the_extrapolation_of_their_covariances():
    """Which are singular, and of Inception's 2,048 dimensions take seconds each."""
    features, reference = normal("few generated", 30, 50) * 0.8, normal("few reference", 40, 50)
    sizes = np.linspace(15, 30, 15).astype(int)
    found = []
    for index, size in enumerate(sizes):
        rows = rng.numpy_rng(3, "extrapolated fid", index).choice(30, size, replace=False)
        found.append(from_statistics(*statistics(reference), *statistics(features[rows])))
    line = np.polynomial.Polynomial.fit(1 / sizes, found, 1)
    assert extrapolated_fid(features, reference, 3) == pytest.approx(line(0), rel=1e-6)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: precision_recall(np.zeros((3, 2)), np.zeros((9, 2))), "3 images have no 3. nearest neighbours"),
        (lambda: density_coverage(np.zeros((9, 2)), np.zeros((5, 2))), "5 images have no 5. nearest neighbours"),
        (lambda: density_coverage(np.zeros((0, 2)), np.zeros((9, 2))), "there is no generated image"),
        (lambda: radii(np.zeros((9, 2)), 0), "no 0. nearest neighbours"),
        (lambda: precision_recall(np.zeros((9, 2)), np.zeros((9, 3))), "2 and 3 dimensions cannot be compared"),
        (lambda: density_coverage(np.full((9, 2), np.nan), np.zeros((9, 2))), "features that are not finite"),
        (lambda: extrapolated_fid(np.zeros((3, 2)), np.zeros((9, 2))), "3 images: an extrapolated FID needs"),
        (lambda: extrapolated_fid(np.zeros((9, 2)), np.zeros((1, 2))), "the reference has 1 images"),
    ],
)
def test_sets_that_cannot_be_scored_are_refused_in_one_line(call, line):
    with pytest.raises(DifflabError, match=line):
        call()

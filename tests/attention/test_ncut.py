"""Normalised cuts against numpy, planted clusters, landmarks, colours."""

import numpy as np
import pytest
from scipy.stats import ortho_group
from sklearn.metrics import adjusted_rand_score

from difflab.attention import ncut
from difflab.core.base.errors import DifflabError


def planted(sizes=(20, 30, 15), width=24, noise=0.2, seed=0):
    """Features around one direction for each cluster, shuffled, and their clusters."""
    generator = np.random.default_rng(seed)
    label = generator.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return np.eye(width)[label] + noise * generator.standard_normal((len(label), width)) / np.sqrt(width), label


def test_eigenvalues_are_those_of_numpy_and_vectors_solve_the_equation():
    weights = ncut.similarity(planted()[0])
    cut = ncut.normalised_cut(weights, 6)
    root = np.sqrt(weights.sum(1))
    scaled = weights / np.outer(root, root)
    np.testing.assert_allclose(cut.values, np.linalg.eigh(scaled)[0][::-1][:6], atol=1e-5)
    assert abs(cut.values[0] - 1) < 1e-12
    np.testing.assert_allclose(scaled @ cut.vectors, cut.vectors * cut.values, atol=1e-9)
    np.testing.assert_allclose(cut.vectors.T @ cut.vectors, np.eye(6), atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_planted_clusters_are_found(seed):
    features, label = planted(seed=seed)
    found = ncut.clusters(ncut.cut_features(features, 3), 3)
    assert adjusted_rand_score(label, found) == 1
    assert found[0] == 0  # numbered by their first token


def test_landmarks_find_planted_clusters_and_the_exact_eigenvalues(monkeypatch):
    features, label = planted((150, 250, 100), width=16, noise=0.5)
    exact = ncut.cut_features(features, 3)
    monkeypatch.setattr(ncut, "EXACT_UP_TO", 400)
    monkeypatch.setattr(ncut, "LANDMARKS", 120)
    near = ncut.cut_features(features, 3)
    assert adjusted_rand_score(label, ncut.clusters(near, 3)) == 1
    np.testing.assert_allclose(near.values, exact.values, atol=0.02)
    np.testing.assert_allclose(near.vectors.T @ near.vectors, np.eye(3), atol=1e-8)
    assert (np.abs((near.vectors * exact.vectors).sum(0)) > 0.98).all()
    assert all(np.array_equal(a, b) for a, b in zip(near, ncut.cut_features(features, 3), strict=True))


def test_with_all_tokens_as_landmarks_the_approximation_is_exact(monkeypatch):
    features, _ = planted()
    exact = ncut.cut_features(features, 4)
    monkeypatch.setattr(ncut, "EXACT_UP_TO", 10)
    monkeypatch.setattr(ncut, "LANDMARKS", len(features))
    np.testing.assert_allclose(ncut.cut_features(features, 4).values, exact.values, atol=1e-6)


def test_the_same_features_give_the_same_bytes_and_signs_do_not_depend_on_the_solver():
    features, _ = planted()
    first, again = ncut.cut_features(features, 5), ncut.cut_features(features.copy(), 5)
    assert first.vectors.tobytes() == again.vectors.tobytes()
    assert ncut.colours(first).tobytes() == ncut.colours(again).tobytes()
    largest = first.vectors[np.abs(first.vectors).argmax(0), range(5)]
    assert (largest > 0).all()
    assert (ncut._signed(-first.vectors) == first.vectors).all()


def test_colours_of_a_cluster_are_alike_and_of_two_are_not():
    features, label = planted()
    colours = ncut.colours(ncut.cut_features(features, 5))
    assert ((colours >= 0) & (colours <= 1)).all()
    middles = np.stack([colours[label == n].mean(0) for n in range(3)])
    within = max(np.linalg.norm(colours[label == n] - middles[n], axis=1).mean() for n in range(3))
    apart = min(np.linalg.norm(middles[a] - middles[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert apart > 5 * within


def test_colours_of_another_model_are_turned_to_those_of_the_first():
    features, _ = planted()
    reference = ncut.coordinates(ncut.cut_features(features, 5))
    turned = reference @ ortho_group.rvs(3, random_state=1)
    cut = ncut.cut_features(features + 0.01 * np.random.default_rng(5).standard_normal(features.shape), 5)
    aligned = ncut.coordinates(cut, turned)
    assert np.linalg.norm(aligned - turned) < 0.25 * np.linalg.norm(ncut.coordinates(cut) - turned)
    with pytest.raises(DifflabError, match="colours of 65 tokens cannot follow those of 3"):
        ncut.coordinates(cut, np.zeros((3, 3)))


def test_what_cannot_be_cut_is_refused():
    weights = ncut.similarity(planted()[0])
    for wrong, line in (
        (weights - 1, "must be symmetric, finite and not negative"),
        (np.triu(weights), "must be symmetric"),
        (weights * np.nan, "must be symmetric, finite"),
        (np.diag([1.0, 0.0]), "token 1 has no affinity to any other"),
    ):
        with pytest.raises(DifflabError, match=line):
            ncut.normalised_cut(wrong, 1)
    with pytest.raises(DifflabError, match="66 eigenvectors: between 1 and 65 can be taken"):
        ncut.normalised_cut(weights, 66)
    with pytest.raises(DifflabError, match="not finite"):
        ncut.cut_features(np.full((4, 2), np.inf), 2)

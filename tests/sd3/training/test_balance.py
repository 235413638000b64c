"""The balancing programme: the published figures, and optimality checked by other means."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from difflab.core.base.errors import DifflabError
from difflab.images.archives.opening import open_archive
from difflab.images.celeba import celeba_hq
from difflab.sd3.training.balance import balance_weights, solve
from fakes.face_archives import balance_params, split_params


def objective(x, table, p):
    """The programme as it is written, with its gradient."""
    n = len(table)
    deviation, excess = x @ table / n - p.target, x.mean() - 1
    value = deviation @ deviation + p.mean_penalty * excess**2 + p.spread_penalty * ((x - 1) ** 2).mean()
    gradient = (2 * table @ deviation + 2 * p.mean_penalty * excess + 2 * p.spread_penalty * (x - 1)) / n
    return value, gradient


def projected_gradient(x, table, p):
    """n times the step that projected descent would take: zero exactly at the optimum."""
    n = len(table)
    step = n * objective(x, table, p)[1] / (2 * p.mean_penalty)
    return np.abs(x - (x - step).clip(p.minimum, p.maximum)).max() * 2 * p.mean_penalty


def effective_sample_size(weights):
    """Kish 1965."""
    return weights.sum() ** 2 / (weights**2).sum()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(1, 8), st.floats(0.05, 0.95), st.integers(0, 999))
def test_the_solution_satisfies_the_optimality_conditions(count, attributes, share, seed):
    table = (np.random.default_rng(seed).random((count, attributes)) < share).astype(float)
    settings_ = balance_params(maximum=1.5, minimum=0.7)
    x = solve(table, settings_)
    assert x.min() >= 0.7
    assert x.max() <= 1.5
    assert projected_gradient(x, table, settings_) < 1e-6


def test_a_general_solver_finds_no_better_weights():
    table = (np.random.default_rng(0).random((40, 6)) < [0.05, 0.2, 0.5, 0.8, 0.9, 0.97]).astype(float)
    p = balance_params(mean_penalty=10, spread_penalty=0.1, maximum=1.6, minimum=0.5)
    x = solve(table, p)
    assert np.isclose(x, 0.5).any()  # a bound is active
    reference = minimize(
        objective, np.ones(40), args=(table, p), jac=True, method="L-BFGS-B", bounds=[(0.5, 1.6)] * 40,
        options={"maxiter": 10_000, "ftol": 1e-15, "gtol": 1e-10},
    )  # fmt: skip
    assert objective(x, table, p)[0] <= reference.fun + 1e-10
    assert x == pytest.approx(reference.x, abs=1e-3)


def test_the_gradient_of_the_reference_is_right():
    table = (np.random.default_rng(1).random((7, 3)) < 0.4).astype(float)
    x, p = np.linspace(0.5, 1.5, 7), balance_params()
    for i in range(7):
        step = np.eye(7)[i] * 1e-5
        slope = (objective(x + step, table, p)[0] - objective(x - step, table, p)[0]) / 2e-5
        assert slope == pytest.approx(objective(x, table, p)[1][i], rel=1e-6)


def test_weights_have_mean_one_and_equal_images_get_equal_weights():
    table = np.array([[1, 0], [1, 0], [0, 0], [0, 1]], bool)
    weights = balance_weights(table, balance_params())
    assert weights.mean() == pytest.approx(1, abs=1e-12)
    assert weights[0] == weights[1]
    shares = weights @ table / 4
    assert abs(shares[1] - 0.5) < abs(table[:, 1].mean() - 0.5)
    assert 1 <= effective_sample_size(weights) <= 4


def test_balanced_attributes_are_left_alone():
    table = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], bool)
    assert balance_weights(table, balance_params()) == pytest.approx(np.ones(4), abs=1e-9)


def test_nothing_to_balance_is_an_error():
    with pytest.raises(DifflabError, match=r"balance\.enabled=false"):
        balance_weights(np.zeros((0, 40), bool), balance_params())


def test_the_published_figures_on_the_real_train_split(data_root):
    table = celeba_hq.read_table(open_archive(data_root / "celeba" / "CelebAMask-HQ.zip"))
    split = celeba_hq.split_table(
        table, split_params(stratify={"celeba": ("Male", "Wearing_Lipstick", "Smiling")}), "celeba"
    )
    train = table[split == "train"].drop(columns="file")
    p = balance_params()
    weights = balance_weights(train.to_numpy(), p)
    shares = weights @ train / len(train)

    assert ((train.mean() - 0.5) ** 2).sum() == pytest.approx(4.169, abs=5e-4)
    assert ((shares - 0.5) ** 2).sum() == pytest.approx(3.489, abs=5e-4)
    assert effective_sample_size(weights) == pytest.approx(19_507, abs=5)
    assert weights.max() == pytest.approx(3.66, abs=0.01)
    published = {"Male": 0.456, "Bald": 0.044, "Eyeglasses": 0.074, "Young": 0.701, "No_Beard": 0.718}
    assert shares[list(published)].to_dict() == pytest.approx(published, abs=1e-3)

    x = solve(train.to_numpy(float), p)
    assert x.min() >= 0.2
    assert x.max() <= 5
    assert projected_gradient(x, train.to_numpy(float), p) < 1e-6

"""Distinct n-grams."""

import pytest

from difflab.metrics.words import distinct_n


def test_distinct_n_grams_of_a_worked_example():
    assert distinct_n(["a cat", "A cat sits"], 1) == pytest.approx(3 / 5)
    assert distinct_n(["a cat", "A cat sits"], 2) == pytest.approx(2 / 3)
    assert distinct_n(["cat"], 2) == 0

"""When a difference says more than the spread, against scipy's own test."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from difflab.metrics.spread import clear_difference

values = st.lists(st.floats(-5, 5), min_size=2, max_size=8).filter(lambda v: np.std(v) > 1e-3)


@given(values, values)
def test_beyond_it_welchs_test_is_significant_at_5_percent(a, b):
    needed = clear_difference(np.std(a, ddof=1), len(a), np.std(b, ddof=1), len(b))
    at_the_edge = np.array(b) - np.mean(b) + np.mean(a) + needed
    assert ttest_ind(a, at_the_edge, equal_var=False).pvalue == pytest.approx(0.05, abs=1e-4)


def test_two_seeds_each_need_more_than_four_standard_errors():
    assert clear_difference(1.0, 2, 1.0, 2) == pytest.approx(4.303, abs=1e-3)


def test_without_spread_every_difference_is_clear():
    assert clear_difference(0.0, 2, 0.0, 2) == 0

"""The published figures, and which column of a run they belong to."""

import pytest

from difflab.report.published import published, published_fid
from difflab.sd3.cells import mean_on_sigma, median_sigma, signed


def test_the_published_table_is_the_one_of_the_paper():
    cells = [[row["blip2"], row["llama3"]] for row in published()["fid"]]
    assert cells == [[80.0, 88.2], [24.3, 31.1], [29.8, 31.0], [32.0, 31.6]]


def test_the_curves_have_their_published_minimum():
    figures = published()
    assert min(figures["fid_by_step"], key=lambda row: row["fid"]) == {"step": 4000, "fid": 22.24}
    assert min(figures["fid_by_guidance"], key=lambda row: row["fid"])["guidance_scale"] == 3.0


def test_the_published_median_of_sigma_is_found_again():
    assert median_sigma(-0.5, "diffusers", shift=3) == pytest.approx(0.832, abs=5e-4)
    assert median_sigma(0.5, "diffusers", shift=3) == pytest.approx(0.645, abs=5e-4)
    assert median_sigma(0.0, "sigma", shift=3) == pytest.approx(0.75)


def test_the_published_minus_half_belongs_to_plus_half_on_sigma():
    assert published_fid("blip2", mean_on_sigma(0.5, "sigma")) == 24.3
    assert published_fid("blip2", mean_on_sigma(-0.5, "diffusers")) == 24.3
    assert published_fid("llama3", mean_on_sigma(-0.5, "sigma")) == 31.6
    assert published_fid("llama3", mean_on_sigma(0.0, "diffusers")) == 31.0
    assert published_fid("blip2", None) == 80.0


def test_a_mean_that_was_not_published_has_no_figure():
    assert published_fid("blip2", 0.25) is None


def test_zero_has_no_sign():
    assert signed(mean_on_sigma(0.0, "diffusers")) == "0"
    assert signed(-0.5) == "\N{MINUS SIGN}0.5"

"""Figures: what they show, and the same bytes every time."""

import numpy as np
import pandas as pd
import pytest

from difflab.report import figures, style
from difflab.report.summary import summarise
from difflab.training.params import DensityParams
from fakes.study_results import write_inputs

MEANS = {"minus": -0.5, "zero": 0.0, "plus": 0.5}


@pytest.fixture
def summary(tmp_path):
    from difflab.report.inputs import Inputs

    write_inputs(tmp_path)
    return summarise(Inputs(tmp_path), MEANS, {"convention": "diffusers", "shift": 3.0}, False)


@pytest.mark.parametrize("mean", [-0.5, 0.0, 0.5])
@pytest.mark.parametrize("convention", ["sigma", "diffusers"])
def test_the_drawn_density_is_the_one_that_training_draws_from(mean, convention):
    """Its integral up to a quantile of `diffusion.density.SigmaDensity` is the probability of that
    quantile."""
    import torch

    from difflab.sd3.training.density import SigmaDensity

    params = DensityParams(
        weighting_scheme="logit_normal", convention=convention, logit_std=1.0, mode_scale=1.29, shift=3.0
    )
    on_sigma = -mean if convention == "diffusers" else mean
    sigma = np.linspace(1e-6, 1 - 1e-6, 200_001)
    density = figures.logit_normal_density(sigma, on_sigma, 1.0, 3.0)
    for q in (0.05, 0.5, 0.95):
        upper = SigmaDensity(params, mean).quantile(torch.tensor(q)).item()
        part = sigma <= upper
        assert np.trapezoid(density[part], sigma[part]) == pytest.approx(q, abs=1e-3)


def test_bars_stand_at_the_mean_of_each_cell(summary):
    figure = figures.fid_by_cell(style.LIGHT, summary, MEANS)
    for axis, captions in zip(figure.axes, ("blip2", "llama3"), strict=True):
        heights = [bar.get_height() for bar in axis.patches]
        assert heights == [summary[f"{a}_{captions}_fid"] for a in ("pretrained", *MEANS)]
    style.plt.close(figure)


def test_published_values_never_share_an_axis_with_this_run():
    rows = pd.DataFrame({"step": [0, 10, 0, 10], "fid": [9.0, 3.0, 11.0, 5.0]})
    known = [{"step": 0, "fid": 80.0}, {"step": 1000, "fid": 20.0}]
    figure = figures.curve_beside_published(style.LIGHT, rows, known, "step", "step")
    ours, theirs = (axis.get_lines()[0].get_ydata() for axis in figure.axes)
    assert list(ours) == [10.0, 4.0]  # means over seeds
    assert list(theirs) == [80.0, 20.0]
    style.plt.close(figure)


@pytest.mark.parametrize("theme", style.THEMES, ids=lambda theme: theme.name)
def test_a_figure_has_the_same_bytes_every_time(tmp_path, summary, theme):
    for name in ("a.png", "b.png"):
        style.render(lambda t: figures.fid_by_cell(t, summary, MEANS), theme, tmp_path / name)
    content = (tmp_path / "a.png").read_bytes()
    assert content == (tmp_path / "b.png").read_bytes()
    assert b"tEXt" not in content  # no version, no date

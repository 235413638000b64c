"""Figures: what they show, and the same bytes every time."""

import numpy as np
import pandas as pd
import pytest

from difflab.captioning import answer
from difflab.images.generated.writer import grid
from difflab.report import figures
from difflab.report.summary import part, summarise
from difflab.sd3.artifacts.cells import ADAPTERS
from difflab.training.params import DensityParams
from fakes.captioning_results import images, runs, sized
from fakes.captioning_results import summarise as summarise_captions
from fakes.study_results import write_inputs

MEANS = {"minus": -0.5, "zero": 0.0, "plus": 0.5}


@pytest.fixture
def summary(tmp_path):
    write_inputs(tmp_path)
    return part(summarise(MEANS, {"convention": "diffusers", "shift": 3.0}, False, tmp_path), "sd3")


@pytest.mark.parametrize("mean", [-0.5, 0.0, 0.5])
@pytest.mark.parametrize("convention", ["sigma", "diffusers"])
def test_the_drawn_density_is_the_one_that_training_draws_from(mean, convention):
    """Its integral up to a quantile of `SigmaDensity` is the probability of that quantile."""
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
    figure = figures.fid_by_cell(summary, MEANS)
    for axis, captions in zip(figure.axes, ("blip2", "llama3"), strict=True):
        heights = [bar.get_height() for bar in axis.patches]
        assert heights == [summary[f"{a}_{captions}_fid"] for a in ("pretrained", *MEANS)]
    figures.plt.close(figure)


def test_published_values_never_share_an_axis_with_this_run():
    rows = pd.DataFrame({"step": [0, 10, 0, 10], "fid": [9.0, 3.0, 11.0, 5.0]})
    known = [{"step": 0, "fid": 80.0}, {"step": 1000, "fid": 20.0}]
    figure = figures.curve_beside_published(rows, known, "step", "step")
    ours, theirs = (axis.get_lines()[0].get_ydata() for axis in figure.axes)
    assert list(ours) == [10.0, 4.0]  # means over seeds
    assert list(theirs) == [80.0, 20.0]
    figures.plt.close(figure)


def test_a_figure_has_the_same_bytes_every_time(tmp_path, summary):
    for name in ("a.png", "b.png"):
        figures.render(lambda: figures.fid_by_cell(summary, MEANS), tmp_path / name)
    content = (tmp_path / "a.png").read_bytes()
    assert content == (tmp_path / "b.png").read_bytes()
    assert b"tEXt" not in content  # no version, no date


def test_captions_show_the_means_and_the_intervals_of_the_differences():
    scores = images(["bleu_1", "rouge_l", "cider_d"])
    metrics = summarise_captions(scores, resamples=200)
    figure = figures.captions_by_share(metrics, runs(scores))
    names = [answer.MEASURE_NAMES[m] for m in ("bleu_1", "rouge_l", "cider_d")]
    assert [axis.get_title() for axis in figure.axes] == names
    axis = figure.axes[2]
    assert len(axis.collections[0].get_offsets()) == 15  # what was not trained has no training set
    bars = [container.lines for container in axis.containers]
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line, _, _ in bars]
    assert points == [(metrics[f"{d}_share"], metrics[f"{d}_cider_d"]) for d in answer.DATA]
    ends = [bar.get_segments()[0][:, 1] for _, _, found in bars for bar in found]
    for data, (low, high) in zip(("mixed", "synthetic"), ends, strict=True):
        key = f"{data}_cider_d_difference"
        base = metrics["original_cider_d"]
        assert (low, high) == pytest.approx((base + metrics[f"{key}_low"], base + metrics[f"{key}_high"]))
    figures.plt.close(figure)


def test_the_curve_by_originals_has_a_line_without_and_one_with_synthetic_pictures():
    metrics = summarise_captions(images(["bleu_1", "cider_d"]))
    scored, made = sized()
    own = scored.groupby(["data", "originals", "seed"])["cider_d"].mean().reset_index().merge(made)
    figure = figures.captions_by_originals(metrics, own)
    for data, bar in zip(("original", "mixed"), figure.axes[0].containers, strict=True):
        line = bar.lines[0]
        assert line.get_xdata().tolist() == [24, 96, 384]
        assert line.get_ydata().tolist() == [metrics[f"originals_{n}_{data}_cider_d"] for n in (24, 96, 384)]
    figures.plt.close(figure)


def test_before_and_after_shows_the_first_tiles_of_every_grid_with_their_prompts(tmp_path):
    columns = ["real", *(f"{adapter}/blip2" for adapter in ADAPTERS)]
    for shade, name in enumerate(columns):
        tiles = [np.full((64, 64, 3), 40 * shade + k, np.uint8) for k in range(9)]
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        grid(tiles, ncols=8).save(path)
    prompts = pd.DataFrame({"id": list("abcdefghi"), "blip2": [f"prompt {k}" for k in range(9)]})
    sheet = np.asarray(figures.before_after(tmp_path, "blip2", prompts, MEANS))
    side = 88 + 2
    left, top = sheet.shape[1] - 5 * side, sheet.shape[0] - figures.COMPARED * side
    for row in range(figures.COMPARED):
        middle = [sheet[top + row * side + 40, left + column * side + 40, 0] for column in range(5)]
        assert middle == [40 * column + row for column in range(5)]
    assert figures.before_after(tmp_path, "llama3", prompts, MEANS) is None

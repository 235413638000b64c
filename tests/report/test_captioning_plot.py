"""The plot of the captioning answer."""

import pytest

from difflab.captioning import answer
from difflab.report import style
from difflab.report.captioning_plot import by_share
from fakes.captioning_results import images, runs

MEASURES = ["bleu_1", "rouge_l", "cider_d", "both_correct"]


@pytest.fixture(scope="module")
def scores():
    return images(MEASURES)


@pytest.fixture(scope="module")
def metrics(scores):
    return answer.summarise(scores, runs(scores), seed=0, resamples=500)


def test_the_plot_shows_the_means_and_the_intervals_of_the_differences(scores, metrics):
    figure = by_share(style.LIGHT, metrics, runs(scores))
    assert [axis.get_title() for axis in figure.axes] == ["BLEU-1", "ROUGE-L", "CIDEr-D", "both correct"]
    axis = figure.axes[2]
    dots = axis.collections[0].get_offsets()
    assert len(dots) == 15  # what was not trained has no training set
    bars = [container.lines for container in axis.containers]
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line, _, _ in bars]
    assert points == [(metrics[f"{d}_share"], metrics[f"{d}_cider_d"]) for d in answer.DATA]
    ends = [bar.get_segments()[0][:, 1] for _, _, found in bars for bar in found]
    for data, (low, high) in zip(("mixed", "synthetic"), ends, strict=True):
        key = f"{data}_cider_d_difference"
        base = metrics["original_cider_d"]
        assert (low, high) == pytest.approx((base + metrics[f"{key}_low"], base + metrics[f"{key}_high"]))
    style.plt.close(figure)


def test_the_plot_has_the_same_bytes_every_time(tmp_path, scores, metrics):
    for name in ("a.png", "b.png"):
        style.render(lambda theme: by_share(theme, metrics, runs(scores)), style.LIGHT, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()

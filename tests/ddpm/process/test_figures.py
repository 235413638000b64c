"""The pictures of the process show what they are given."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from difflab.ddpm.process.figures import attention_figure, spectrum_figure


def spectrum_table() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"measure": m, "sigma": s, "band": b, "share": n / (1 + s), "expected_share": n / (1 + s * (b + 1))}
            for n, m in ((1, "recovered"), (0.5, "decided"))
            for b in (1, 0, 2)
            for s in (10.0, 0.1, 1.0)
        ]
    )


def size(figure) -> tuple[int, int]:
    buffer = io.BytesIO()
    figure.savefig(buffer)
    return Image.open(buffer).size


@pytest.mark.parametrize(("panel", "n"), [(0, 1), (1, 0.5)])
def test_each_band_has_points_that_were_measured_and_a_line_that_was_expected(panel, n):
    axis = spectrum_figure(spectrum_table()).axes[panel]
    lines = axis.get_lines()[:-1]  # the last one marks one half
    assert len(lines) == 6
    for band, (expected, measured) in enumerate(zip(lines[::2], lines[1::2], strict=True)):
        assert expected.get_linestyle() == "-"
        assert measured.get_linestyle() == "None"
        assert expected.get_color() == measured.get_color()
        np.testing.assert_allclose(expected.get_xdata(), [0.1, 1, 10])
        np.testing.assert_allclose(expected.get_ydata(), [n / (1 + s * (band + 1)) for s in (0.1, 1, 10)])
        np.testing.assert_allclose(measured.get_ydata(), [n / (1 + s) for s in (0.1, 1, 10)])


@pytest.mark.parametrize(("factor", "left"), [(1, 10), (50, 100)])
def test_sampling_goes_to_the_right_on_a_logarithmic_scale(factor, left):
    """Above 100 nothing happens."""
    table = spectrum_table()
    axis = spectrum_figure(table.assign(sigma=factor * table["sigma"])).axes[0]
    assert axis.get_xscale() == "log"
    assert axis.get_xlim() == pytest.approx((left, factor * 0.1))


def test_bands_are_named_by_their_share_of_the_nyquist_frequency():
    names = [text.get_text() for text in spectrum_figure(spectrum_table()).axes[0].get_legend().get_texts()]
    assert names == ["0 to 0.33 of Nyquist", "0.33 to 0.67 of Nyquist", "0.67 to 1 of Nyquist"]


def test_each_word_of_a_prompt_has_its_map_beside_the_image():
    images = np.zeros((2, 8, 8, 3), np.uint8)
    maps = torch.arange(2 * 4 * 64, dtype=torch.float32).view(2, 4, 8, 8)
    figure = attention_figure(["three", "the digit 3"], images, maps)
    grid = np.array(figure.axes).reshape(2, 4)
    titles = [[axis.get_title() for axis in row] for row in grid]
    assert titles == [["“three”", "three", "", ""], ["“the digit 3”", "the", "digit", "3"]]
    assert [len(axis.get_images()) for axis in grid[0]] == [1, 2, 0, 0]
    assert np.array_equal(grid[1, 2].get_images()[1].get_array(), maps[1, 1])


def test_both_are_drawn_without_a_display():
    maps = torch.rand(1, 1, 8, 8)
    assert min(size(attention_figure(["three"], np.zeros((1, 8, 8, 3), np.uint8), maps))) > 100
    assert min(size(spectrum_figure(spectrum_table()))) > 100

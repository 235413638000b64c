"""Sheets: every picture in its place, titles in lines that fit, rows with their names."""

import numpy as np
import pytest
from PIL import ImageFont

from difflab.core.base.errors import DifflabError
from difflab.images.sheet import contact_sheet, rows_sheet, scaled, wrapped

FONT = ImageFont.load_default(11)


def plain(level: int, height: int = 8, width: int = 8) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def test_pictures_stand_row_by_row_with_their_titles_below():
    images = [plain(10 * n) for n in range(5)]
    sheet = np.asarray(contact_sheet(images, ["a title"] * 5, ncols=3, side=40, lines=2))
    assert sheet.shape == (2 * (40 + 28 + 6) + 6, 3 * 46 + 6, 3)
    for n in range(5):
        top, left = 6 + n // 3 * 74, 6 + n % 3 * 46
        assert (sheet[top : top + 40, left : left + 40] == 10 * n).all()
        assert (sheet[top + 40 : top + 54, left : left + 40] < 200).any()
    assert (sheet[80:, 6 + 2 * 46 :] == 255).all()  # the sixth place is empty


def test_titles_are_wrapped_at_words():
    lines = wrapped("a rocket beneath a handwritten three", 80, FONT)
    assert " ".join(lines) == "a rocket beneath a handwritten three"
    assert len(lines) > 1
    assert all(FONT.getlength(line) <= 80 for line in lines)
    assert wrapped("incomprehensibilities of it", 20, FONT)[0] == "incomprehensibilities"
    assert wrapped("", 20, FONT) == []


def test_rows_carry_their_names():
    rows = [("ddim, 10 steps", [plain(10), plain(20)]), ("euler", [plain(30)])]
    sheet = np.asarray(rows_sheet(rows, side=32))
    left = sheet.shape[1] - 2 * 34
    assert sheet.shape[0] == 2 * 34 + 2
    assert (sheet[2:34, left : left + 32] == 10).all()
    assert (sheet[2:34, left + 34 : left + 66] == 20).all()
    assert (sheet[36:68, left : left + 32] == 30).all()
    assert all((sheet[top : top + 32, :left] < 200).any() for top in (2, 36))


def test_small_pictures_are_enlarged_pixel_by_pixel_and_large_ones_antialiased():
    checks = np.kron([[0, 255], [255, 0]], np.ones((1, 1)))[..., None].repeat(3, 2).astype(np.uint8)
    assert set(np.unique(scaled(checks, 8))) == {0, 255}
    fine = np.tile(checks, (32, 16, 1))
    small = np.asarray(scaled(fine, 16))
    assert small.shape == (16, 8, 3)
    assert abs(small.astype(int) - 127).max() < 20


def test_without_pictures_there_is_no_sheet():
    with pytest.raises(DifflabError, match="at least one image"):
        contact_sheet([], [], 3)
    with pytest.raises(DifflabError, match="at least one image"):
        rows_sheet([("ddim", [])])

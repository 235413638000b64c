"""Composites: deterministic, independent of their company, with attributes that are true of the pixels."""

import numpy as np
import pytest

from difflab.core.base.rng import numpy_rng
from difflab.miniature.data import blend
from difflab.miniature.data.sources import digits

EXCLUSIVE = [
    ("Thick", "Thin"),
    ("Slanted_Left", "Slanted_Right"),
    ("Large", "Small"),
    ("Bright_Background", "Dark_Background"),
    ("Colourful", "Grey"),
    ("Warm_Background", "Cool_Background"),
    ("Red_Digit", "Yellow_Digit", "Green_Digit", "Blue_Digit"),
    tuple(f"Digit_{n}" for n in range(10)),
    tuple(f"Photo_{name}" for name in blend.PHOTO_NAMES),
]


@pytest.fixture(scope="module")
def drawn():
    return blend.batch(np.arange(600), seed=3, purpose="test", step=0)


def test_there_are_forty_attributes_as_in_celeba():
    assert len(blend.ATTRIBUTES) == len(set(blend.ATTRIBUTES)) == 40


def test_each_picture_carries_all_attributes_and_no_two_that_exclude_each_other(drawn):
    images, composites = drawn.images, drawn.composites
    assert images.shape == (600, 32, 32, 3)
    assert images.dtype == np.uint8
    for row, composite in enumerate(composites):
        assert tuple(composite.attributes) == blend.ATTRIBUTES
        assert composite.digit == digits().labels[row]
        assert composite.attributes[f"Digit_{composite.digit}"]
        assert composite.attributes[f"Photo_{composite.photo}"]
        assert all(sum(composite.attributes[name] for name in group) <= 1 for group in EXCLUSIVE)


def test_every_attribute_occurs_and_none_is_the_rule(drawn):
    share = np.mean([list(c.attributes.values()) for c in drawn.composites], axis=0)
    assert share.min() > 0.02
    assert share.max() < 0.5


def test_grey_and_colour_are_those_of_the_photograph(drawn):
    for composite in drawn.composites:
        if composite.photo in ("Bricks", "Coins"):
            assert composite.attributes["Grey"]
        if composite.photo in ("Coffee", "Flower", "Retina"):
            assert not composite.attributes["Grey"]


def test_an_inverted_digit_is_darker_than_its_surroundings(drawn):
    for composite in drawn.composites:
        luma = composite.image.astype(float).mean(-1)
        darkest, brightest = np.percentile(luma, [3, 97])
        if composite.attributes["Inverted"]:
            assert darkest < 75 < 110 < np.median(luma)
        else:
            assert brightest > 150
            assert np.median(luma) < brightest - 20


def test_tints_are_seen_in_the_pixels(drawn):
    """In tinted digits over grey photographs the most saturated pixels have the named colour."""
    channel = {"Red_Digit": 0, "Green_Digit": 1, "Blue_Digit": 2}
    seen = set()
    for composite in drawn.composites:
        if composite.attributes["Grey"]:
            pixels = composite.image.reshape(-1, 3).astype(int)
            vivid = pixels[np.argmax(np.ptp(pixels, axis=1))]
            for name, position in channel.items():
                if composite.attributes[name]:
                    assert vivid.argmax() == position
                    seen.add(name)
    assert seen == set(channel)


def test_size_is_that_of_the_strokes_in_a_plain_digit():
    seen = 0
    for index in range(300):
        picture = blend.plain(index, numpy_rng(0, "size", index))
        red, ground = picture.image[..., 0], float(picture.image[0, 0, 0])
        tinted = any(v for name, v in picture.attributes.items() if name.endswith("_Digit"))
        if tinted or picture.attributes["Inverted"] or ground > 140:
            continue
        seen += 1
        half = (255 + 0.4 * ground) / 2  # the white stroke at half strength over the darker outline
        height = (red.max(1) > half).sum()
        assert picture.attributes["Large"] == (height > 0.86 * 32)
        assert picture.attributes["Small"] == (height < 0.70 * 32)
    assert seen > 40


def test_slant_follows_a_shear_of_the_picture():
    """A bar whose rows are shifted by so many pixels per pixel up leans by as much."""
    leans = {}
    for shear in (-0.4, 0.0, 0.4):
        mask = np.zeros((1, 32, 32), np.int64)
        for row in range(6, 26):
            left = 15 + round(shear * (16 - row))
            mask[0, row, left : left + 3] = 256
        leans[shear] = blend._shape(mask)[1][0]
    assert leans[0.0] == pytest.approx(0, abs=1e-6)
    assert leans[0.4] == pytest.approx(0.4, abs=0.03)
    assert leans[-0.4] == pytest.approx(-0.4, abs=0.03)


def test_stroke_width_of_a_bar():
    mask = np.zeros((1, 64, 64), np.int64)
    mask[0, 4:60, 30:35] = 256
    width, _, height = blend._shape(mask)
    assert width[0] == pytest.approx(5, rel=0.12)
    assert height[0] == 56


def test_plain_digits_lie_over_one_colour_without_photograph():
    grounds, inverted = set(), set()
    for n in range(20):
        picture = blend.plain(7, numpy_rng(0, "plain", n))
        assert picture.photo == ""
        assert not any(v for name, v in picture.attributes.items() if name.startswith("Photo_"))
        corners = picture.image[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert np.ptp(corners, axis=0).max() == 0
        luma = picture.image.mean(-1)
        if picture.attributes["Inverted"]:
            assert luma.min() < 75 < 110 < corners.mean()
        else:
            assert luma.max() > 150
            assert corners.mean() < 205
        grounds.add(tuple(corners[0].tolist()))
        inverted.add(picture.attributes["Inverted"])
    assert len(grounds) == 20
    assert inverted == {True, False}


def test_bare_photographs_have_the_attributes_of_their_background_only():
    drawn = blend.bare_photos(60, seed=0, purpose="bare")
    images = drawn.images
    assert images.shape == (60, 32, 32, 3)
    background = blend.ATTRIBUTES[-7:]
    for picture in drawn.composites:
        assert picture.digit == -1
        true = {name for name, value in picture.attributes.items() if value}
        assert true - set(background) == {f"Photo_{picture.photo}"}
    share = np.mean([[c.attributes[name] for name in background] for c in drawn.composites], axis=0)
    assert share.min() > 0
    assert len(set(drawn.photos.tolist())) > 6
    assert np.array_equal(images, blend.bare_photos(60, seed=0, purpose="bare").images)


def test_a_picture_does_not_depend_on_its_company():
    names, canvases = ["Cat", "Coffee", "Rocket"], [(32, 32), (40, 32), (32, 32)]
    rngs = [numpy_rng(0, "alone", n) for n in range(3)]
    together = blend.compose_many([4, 5, 6], names, rngs, canvases)
    for n, picture in enumerate(together):
        (alone,) = blend.compose_many([4 + n], names[n : n + 1], [numpy_rng(0, "alone", n)], canvases[n : n + 1])
        assert np.array_equal(alone.image, picture.image)
        assert alone.attributes == picture.attributes


def test_batches_are_keyed_by_seed_purpose_and_step():
    first = blend.batch(np.arange(4), 0, "a", 1).images
    assert np.array_equal(first, blend.batch(np.arange(4), 0, "a", 1).images)
    for other in ((1, "a", 1), (0, "b", 1), (0, "a", 2)):
        assert not np.array_equal(first, blend.batch(np.arange(4), *other).images)


@pytest.mark.parametrize(("canvas", "offset"), [((40, 56), 9), ((64, 40), 24), ((40, 40), 0)])
def test_the_square_of_a_larger_canvas_is_the_square_picture(canvas, offset):
    height, width = canvas
    wide = blend.compose_many([9], ["Temple"], [numpy_rng(0, "wide")], [canvas], [offset])[0]
    square = blend.compose_many([9], ["Temple"], [numpy_rng(0, "wide")], [(40, 40)])[0]
    assert wide.image.shape == (height, width, 3)
    part = wide.image[:, offset : offset + 40] if width > height else wide.image[offset : offset + 40]
    assert np.array_equal(part, square.image)
    assert wide.attributes == square.attributes


@pytest.mark.parametrize("side", [32, 96])
def test_sums_of_resampled_levels_stay_exact_in_float32(side):
    """The largest weights on the brightest photograph: whatever the order, no partial sum reaches 2^24."""
    cells = 3 * side // 2
    for zoom in np.linspace(0, 1, 101, dtype=np.float32):
        step = np.array([1.15 + 0.35 * zoom], np.float32)
        for shift in (0.0, 0.3, 0.7):
            centre = (np.arange(side, dtype=np.float32) * step[0] + np.float32(shift))[None]
            weights, total = blend._tent(centre, step, cells)
            assert np.array_equal(weights, np.rint(weights))
            assert total.min() > 1.1 * blend._WEIGHT
            assert total.max() * 255 * blend._FINE < 2**24

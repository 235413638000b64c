"""The bundled images are those of scikit-learn and scikit-image, read without importing either."""

import numpy as np
import pytest
from scipy import ndimage

from difflab.miniature.data.sources import digits, enlarged, photos


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    reference = load_digits()
    assert np.array_equal(digits().images * 16, reference.images)
    assert np.array_equal(digits().labels, reference.target)


def test_photographs_are_colour_images_of_their_package():
    from skimage import data
    from sklearn.datasets import load_sample_image

    found = photos()
    assert len(found) == 12
    assert all(photo.dtype == np.uint8 and photo.shape[2] == 3 for photo in found.values())
    assert np.array_equal(found["Coffee"], data.coffee())
    assert np.array_equal(found["Coins"][..., 1], data.coins())
    assert np.array_equal(found["Temple"], load_sample_image("china.jpg"))


@pytest.mark.parametrize(("length", "factor"), [(12, 4), (8, 2.5)])
def test_an_enlarged_digit_is_scipys_to_a_thousandth_and_its_coefficients_lie_far_from_ties(length, factor):
    image = np.pad(digits().images[:5], ((0, 0), *[((length - 8) // 2,) * 2] * 2))
    zoomed = ndimage.zoom(image.astype(float), (1, factor, factor), order=3, grid_mode=True, mode="grid-constant")
    assert np.abs(enlarged(image, factor) - zoomed).max() < 1e-3

    coefficients = 4096 * ndimage.zoom(np.eye(length), (factor, 1), order=3, grid_mode=True, mode="grid-constant")
    assert np.abs(coefficients % 1 - 0.5).min() > 0.009

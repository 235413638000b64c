"""The bundled images are those of scikit-learn and scikit-image, read without importing either."""

import numpy as np

from difflab.miniature.pictures.sources import digits, photos


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

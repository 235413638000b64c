"""Scores of the DDPM series's images: nearness, distances beside their floor, and the class asked for."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import png_bytes, write_zip
from difflab.core.base.numerals import NUMBER_WORDS
from difflab.ddpm import classifier, series_scores
from difflab.ddpm.common.data import Split
from difflab.ddpm.floors import RealImages
from difflab.images.generated.reader import GeneratedImages
from difflab.metrics.images.distances import frechet_distance, squared_mmd
from difflab.metrics.images.manifold import precision_recall
from fakes.study_results import picture

CLASSES = [str(digit) for digit in range(10)]


def images(count: int, purpose: str, channels: int = 3, size: int = 32) -> torch.Tensor:
    """Random colours in 4 x 4 squares: uint8 [n, channels, size, size]."""
    pictures = np.stack([picture(f"{purpose} {n}", size // 4) for n in range(count)])[..., :channels]
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).repeat_interleave(4, 2).repeat_interleave(4, 3)


@pytest.fixture(scope="module")
def network() -> classifier.ResNet20:
    return classifier.build(CLASSES, seed=0).eval()


@pytest.fixture(scope="module")
def real() -> dict[str, Split]:
    return {"train": Split([f"train-{n:05d}" for n in range(100)], images(100, "train"), [])}


def test_nearness_is_scikit_images_psnr():
    made, target = images(5, "made"), images(1, "target")[0]
    expected = [peak_signal_noise_ratio(target.numpy(), one.numpy(), data_range=255) for one in made]
    np.testing.assert_allclose(series_scores.nearness(made, target), expected)


def test_nearness_of_the_image_itself_is_high_and_finite():
    target = images(1, "target")
    assert 100 < series_scores.nearness(target, target[0])[0] < 200


def test_images_come_back_by_seed_and_in_id_order(tmp_path):
    entries = [
        (f"seed-{seed}/latent-{n:05d}.png", png_bytes(Image.fromarray(picture(f"{seed} {n}"))))
        for seed in (3, 0)
        for n in (1, 0)
    ]
    write_zip(tmp_path / "images.zip", entries)
    made = series_scores.by_seed(GeneratedImages(tmp_path / "images.zip"))
    assert list(made) == [0, 3]
    assert made[3].shape == (2, 3, 16, 16)
    assert np.array_equal(made[3][1].permute(1, 2, 0), picture("3 1"))


def test_where_every_image_is_grey_there_is_one_channel(tmp_path):
    grey = picture("grey")[..., :1].repeat(3, 2)
    write_zip(tmp_path / "images.zip", [("seed-0/text-00000.png", png_bytes(Image.fromarray(grey)))])
    (made,) = series_scores.by_seed(GeneratedImages(tmp_path / "images.zip")).values()
    assert np.array_equal(made[0, 0], grey[..., 0])
    assert made.shape[1] == 1


def training_scores(network, draws, reference, asked=None):
    return series_scores.training_scores(network, draws, reference, asked, seed=0)


def features(network, made):
    return classifier.judge(network, made)[0].numpy()


def test_the_reference_itself_has_distance_zero(network, real):
    made = real["train"].pixels
    scores = training_scores(network, [made], features(network, made))
    assert scores["fid"] == pytest.approx(0, abs=1e-6)
    assert scores["precision"] == scores["recall"] == scores["coverage"] == 1


def test_scores_are_distances_of_the_networks_features(network, real):
    made, reference = images(80, "made"), features(network, real["train"].pixels)
    scores = training_scores(network, [made], reference)
    assert scores["fid"] == pytest.approx(frechet_distance(features(network, made), reference))
    assert scores["kid"] == pytest.approx(squared_mmd(features(network, made), reference))
    assert scores["recall"] == precision_recall(features(network, made), reference)["recall"]
    assert "accuracy" not in scores


def test_a_trainings_scores_are_means_over_its_draws(network, real):
    draws, reference = [images(80, f"seed {seed}") for seed in (0, 1)], features(network, real["train"].pixels)
    single = [training_scores(network, [made], reference) for made in draws]
    both = training_scores(network, draws, reference)
    assert both == {name: pytest.approx(np.mean([one[name] for one in single])) for name in single[0]}


def test_few_images_have_distances_and_no_neighbours(network, real):
    assert list(training_scores(network, [images(5, "made")], features(network, images(9, "few")))) == ["fid", "kid"]


def test_accuracy_counts_the_class_asked_for(network, real):
    made = images(80, "made")
    _, seen = classifier.judge(network, made)
    asked = [network.classes[n] for n in seen.tolist()]
    assert training_scores(network, [made], features(network, made), asked)["accuracy"] == 1
    assert series_scores.accuracy(["4", "7", "7", "0"], ["4", "7", "1", "9"]) == 0.5


def real_images(count, classes="ab", shift=0.0):
    """Normal features in two dimensions, the classes in turn."""
    values = rng.numpy_rng(0, "real", shift).normal(shift, size=(count, 2))
    return RealImages(values, [classes[n % len(classes)] for n in range(count)])


def test_the_floor_is_of_the_references_distribution_and_held_out_images_may_not_be():
    """Test images at another place are far, other training images are near."""
    real = {"train": real_images(400), "test": real_images(200, shift=3.0)}
    reference, found, refused = series_scores.real_scores(real, ["a", "b"] * 40, seed=0)
    assert (len(reference), found["reference_n"], refused) == (200, 200, "")
    assert found["floor_fid"] < 0.2 < 15 < found["held_out_fid"]
    assert abs(found["floor_kid"]) < 0.2


def test_where_real_images_are_too_few_there_is_no_floor_and_the_whole_set_is_the_reference():
    real = {"train": real_images(48, classes=[""]), "test": real_images(12, classes=[""])}
    reference, found, refused = series_scores.real_scores(real, [""] * 48, seed=0)
    assert found == {"reference_n": 48} == {"reference_n": len(reference)}
    assert refused == "24 real images for 48 generated ones give no floor"


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"a_fid": 3, "a_fid_high": 4.9, "a_floor_fid": 5, "a_kid": 1, "a_floor_kid": 0}, True),
        ({"a_fid": 3, "a_fid_high": 5.1, "a_floor_fid": 5, "a_kid": 1, "a_floor_kid": 0}, False),
        ({"a_fid": 6, "a_floor_fid": 5, "a_kid": -1, "a_floor_kid": 0}, True),
        ({"a_fid": 3, "a_kid": 1, "b_floor_fid": 5}, False),
    ],
)
def test_below_its_floor_is_what_lies_there_with_its_interval(scores, expected):
    assert series_scores.below_floor(scores, "a") is expected


def test_other_sizes_are_resized_smoothly_and_grey_images_are_coloured_grey(network):
    grey = images(6, "grey", channels=1, size=28)
    resized = [Image.fromarray(one[0].numpy()).resize((32, 32), Image.Resampling.BILINEAR) for one in grey]
    expected = torch.from_numpy(np.stack(resized))[:, None].expand(-1, 3, -1, -1)
    found, _ = series_scores.features_and_classes(network, grey)
    np.testing.assert_allclose(found, classifier.judge(network, expected)[0], rtol=0.02, atol=0.02)


def test_large_images_are_averaged_and_not_sampled(network):
    fine = images(3, "large", size=96)
    fine[..., ::2, :] = 255 - fine[..., 1::2, :]  # lines of one pixel whose mean is grey
    found, _ = series_scores.features_and_classes(network, fine)
    flat, _ = series_scores.features_and_classes(network, torch.full((3, 3, 32, 32), 127, dtype=torch.uint8))
    sampled, _ = series_scores.features_and_classes(network, fine[..., 1::3, 1::3])
    assert np.abs(found - flat).mean() < 0.3 * np.abs(sampled - flat).mean()


def test_a_class_is_asked_for_by_its_name_or_by_a_prompt():
    assert series_scores.class_of("ship", ["cat", "ship"]) == "ship"
    assert series_scores.class_of("the digit 3", NUMBER_WORDS) == "three"
    assert series_scores.class_of("7", CLASSES) == "7"
    with pytest.raises(DifflabError, match="'a zebra' asks for none of the classes 0, 1"):
        series_scores.class_of("a zebra", CLASSES)

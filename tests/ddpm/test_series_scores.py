"""Scores of the DDPM series's images: nearness, distances beside their floor, and the class asked for."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import png_bytes, write_zip
from difflab.core.base.numerals import NUMBER_WORDS
from difflab.ddpm import classifier, series_scores
from difflab.ddpm.data import Split
from difflab.images.generated_reader import GeneratedImages
from difflab.metrics.distances import frechet_distance, squared_mmd
from fakes.study_results import picture

CLASSES = [str(digit) for digit in range(10)]


def images(count: int, purpose: str, channels: int = 3, size: int = 32) -> torch.Tensor:
    """Random colours in 4 x 4 squares: uint8 [n, channels, size, size]."""
    pictures = np.stack([picture(f"{purpose} {n}", size // 4) for n in range(count)])[..., :channels]
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).repeat_interleave(4, 2).repeat_interleave(4, 3)


def split(pixels: torch.Tensor, purpose: str, labels: list[str] | None = None) -> Split:
    return Split([f"{purpose}-{n:05d}" for n in range(len(pixels))], pixels, labels or [])


@pytest.fixture(scope="module")
def network() -> classifier.ResNet20:
    return classifier.build(CLASSES, seed=0).eval()


@pytest.fixture(scope="module")
def real(network) -> dict[str, Split]:
    train, test = images(100, "train"), images(90, "test")
    _, seen = classifier.judge(network, test)
    labels = [network.classes[n] for n in seen.tolist()]
    labels[0] = next(name for name in CLASSES if name != labels[0])  # the network is wrong about one
    return {"train": split(train, "train"), "test": split(test, "test", labels)}


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


def test_the_training_images_themselves_have_distance_zero(network, real):
    metrics = series_scores.score(network, {0: real["train"].pixels}, real, None, seed=0)
    assert metrics["fid"] == pytest.approx(0, abs=1e-6)
    assert metrics["floor_fid"] > 1000 * metrics["fid"]


def test_distances_are_fid_and_kid_of_the_networks_features(network, real):
    made = images(80, "made")
    metrics = series_scores.score(network, {0: made}, real, None, seed=0)
    features, reference = (classifier.judge(network, some)[0].numpy() for some in (made, real["train"].pixels))
    assert metrics["fid"] == pytest.approx(frechet_distance(features, reference))
    assert metrics["kid"] == pytest.approx(squared_mmd(features, reference))


def test_the_floor_is_that_of_as_many_held_out_images(network, real):
    made = images(80, "made")
    metrics = series_scores.score(network, {0: made}, real, None, seed=0)
    assert (metrics["n"], metrics["floor_n"], metrics["reference_n"]) == (80, 80, 100)
    assert metrics["floor_fid"] != series_scores.score(network, {0: made}, real, None, seed=1)["floor_fid"]
    again = series_scores.score(network, {0: images(80, "others")}, real, None, seed=0)
    assert metrics["floor_fid"] == again["floor_fid"]


def test_where_held_out_images_are_fewer_the_floor_takes_all_of_them(network, real):
    metrics = series_scores.score(network, {0: images(95, "made")}, real, None, seed=0)
    held_out, reference = (classifier.judge(network, real[s].pixels)[0].numpy() for s in ("test", "train"))
    assert metrics["floor_n"] == 90
    assert metrics["floor_fid"] == pytest.approx(frechet_distance(held_out, reference))


def test_several_seeds_give_mean_and_deviation_and_one_seed_none(network, real):
    made = {seed: images(80, f"seed {seed}") for seed in (0, 1, 2)}
    single = [series_scores.score(network, {0: made[seed]}, real, None, seed=0) for seed in made]
    metrics = series_scores.score(network, made, real, None, seed=0)
    fids = [row["fid"] for row in single]
    assert metrics["fid"] == pytest.approx(np.mean(fids))
    assert metrics["fid_std"] == pytest.approx(np.std(fids, ddof=1))
    assert not [key for row in single for key in row if key.endswith("_std")]
    assert "accuracy" not in metrics


def test_accuracy_counts_the_class_asked_for_beside_that_of_real_images(network, real):
    made = images(80, "made")
    _, seen = classifier.judge(network, made)
    wanted = [network.classes[n] for n in seen.tolist()]
    metrics = series_scores.score(network, {0: made}, real, wanted, seed=0)
    assert metrics["accuracy"] == 1
    assert metrics["real_accuracy"] == pytest.approx(89 / 90)
    assert series_scores.accuracy(["4", "7", "7", "0"], ["4", "7", "1", "9"]) == 0.5


def test_other_sizes_are_resized_smoothly_and_grey_images_are_coloured_grey(network):
    grey = images(6, "grey", channels=1, size=28)
    resized = [Image.fromarray(one[0].numpy()).resize((32, 32), Image.Resampling.BILINEAR) for one in grey]
    expected = torch.from_numpy(np.stack(resized))[:, None].expand(-1, 3, -1, -1)
    features, _ = series_scores.features_and_classes(network, grey)
    np.testing.assert_allclose(features, classifier.judge(network, expected)[0], rtol=0.02, atol=0.02)


def test_large_images_are_averaged_and_not_sampled(network):
    fine = images(3, "large", size=96)
    fine[..., ::2, :] = 255 - fine[..., 1::2, :]  # lines of one pixel whose mean is grey
    features, _ = series_scores.features_and_classes(network, fine)
    flat, _ = series_scores.features_and_classes(network, torch.full((3, 3, 32, 32), 127, dtype=torch.uint8))
    sampled, _ = series_scores.features_and_classes(network, fine[..., 1::3, 1::3])
    assert np.abs(features - flat).mean() < 0.3 * np.abs(sampled - flat).mean()


def test_a_class_is_asked_for_by_its_name_or_by_a_prompt():
    assert series_scores.class_of("ship", ["cat", "ship"]) == "ship"
    assert series_scores.class_of("the digit 3", NUMBER_WORDS) == "three"
    assert series_scores.class_of("7", CLASSES) == "7"
    with pytest.raises(DifflabError, match="'a zebra' asks for none of the classes 0, 1"):
        series_scores.class_of("a zebra", CLASSES)

"""What the training of the pixel models draws for each sample: order, noise, mirroring, conditions."""

import pytest
import torch

from difflab.core.base.store.tensors import to_float
from difflab.ddpm.training.denoiser_training import TrainingImages
from fakes.denoising import by_class, gaussian, image_set, watched
from fakes.tiny import CLASSES, names


def test_the_batch_size_cuts_one_stream_of_samples(tmp_path):
    """Over more than an epoch: the same images in the same order, with the same noise, sigmas and flips."""
    settings = {"images": image_set(10), "corruption": gaussian(), "flip": True}
    by_3, noisy_3, calls_3 = watched(tmp_path / "3", steps=8, batch_size=3, **settings)
    by_12, noisy_12, calls_12 = watched(tmp_path / "12", steps=2, batch_size=12, **settings)
    assert torch.equal(by_3, by_12)
    torch.testing.assert_close(noisy_3, noisy_12)
    torch.testing.assert_close(torch.cat([c[1] for c in calls_3]), torch.cat([c[1] for c in calls_12]))


def test_every_image_comes_once_an_epoch(tmp_path):
    pixels = torch.arange(10, dtype=torch.float32).view(10, 1, 1, 1).expand(10, 1, 8, 8)
    seen, _, _ = watched(tmp_path, TrainingImages(names(10), pixels), steps=4, batch_size=5)
    epochs = seen[:, 0, 0, 0].view(2, 10).tolist()
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 2
    assert epochs[0] != epochs[1]


def test_noise_belongs_to_the_id_and_the_seed_not_to_the_row(tmp_path):
    pixels = torch.arange(10, dtype=torch.float32).view(10, 1, 1, 1).expand(10, 1, 8, 8)

    def noise_by_image(name, order, seed):
        images = TrainingImages([names(10)[n] for n in order], pixels[order])
        seen, noisy, _ = watched(tmp_path / name, images, steps=2, batch_size=5, seed=seed)
        return (noisy - seen)[seen[:, 0, 0, 0].argsort()]

    first, last = list(range(10)), list(range(9, -1, -1))
    expected = noise_by_image("forwards", first, seed=3)
    torch.testing.assert_close(noise_by_image("backwards", last, seed=3), expected, atol=1e-5, rtol=0)
    assert (noise_by_image("other", first, seed=4) - expected).abs().flatten(1).amax(1).min() > 0.1


@pytest.mark.parametrize(("flip", "share"), [(True, 0.5), (False, 0.0)])
def test_flipping_shows_both_orientations(tmp_path, flip, share):
    image = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    image[..., 4:] = 255
    images = TrainingImages(names(100), image.expand(100, -1, -1, -1))
    seen, _, _ = watched(tmp_path, images, steps=4, batch_size=100, flip=flip)
    mirrored = (seen == to_float(image).flip(-1)).flatten(1).all(1)
    kept = (seen == to_float(image)).flatten(1).all(1)
    assert (mirrored | kept).all()
    assert mirrored.float().mean().item() == pytest.approx(share, abs=0.08 if flip else 0)


@pytest.mark.parametrize("dropout", [0.0, 0.3, 1.0])
def test_conditions_are_dropped_in_their_share(tmp_path, dropout):
    images = image_set(90, conditions=True)
    _, _, calls = watched(tmp_path, images, steps=10, batch_size=90, condition_dropout=dropout)
    told = torch.cat([condition["class_labels"] for _, _, condition in calls])
    assert (told == len(CLASSES)).float().mean().item() == pytest.approx(dropout, abs=0.05 if 0 < dropout < 1 else 0)


def test_each_image_keeps_its_own_condition(tmp_path):
    labels = torch.arange(9) % 3
    pixels = labels.float().view(-1, 1, 1, 1).expand(9, 1, 8, 8)
    images = TrainingImages(names(9), pixels, by_class(labels))
    seen, _, calls = watched(tmp_path, images, steps=3, batch_size=6)
    told = torch.cat([condition["class_labels"] for _, _, condition in calls])
    assert torch.equal(told.float(), seen[:, 0, 0, 0])


def test_without_conditions_the_model_is_told_nothing(tmp_path):
    _, _, calls = watched(tmp_path, image_set(), steps=1, batch_size=4)
    assert calls[0][2] is None


def test_bytes_come_to_minus_one_to_one():
    assert to_float(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == pytest.approx([-1, -0.6, 1])


def test_latents_pass_unscaled(tmp_path):
    latents = 7 * torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    seen, _, _ = watched(tmp_path, TrainingImages(names(4), latents), steps=1, batch_size=4)
    assert len(seen) == 4
    for image in seen:
        assert any(torch.equal(image, latent) for latent in latents)

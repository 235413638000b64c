"""The held-out loss against closed forms, and what it must not depend on."""

import pytest
import torch
from torch import nn

from difflab.ddpm.common import schedule
from difflab.ddpm.common.denoiser import Denoiser
from difflab.ddpm.training.denoiser_training import SHARES, TrainingImages, held_out_errors
from fakes.denoising import by_class
from fakes.gaussian import STD, PerfectNetwork, samples
from fakes.tiny import blobs, denoiser, names


class Told(nn.Module):
    """A network that knows its class by heart: the clean image is grey as its class number says."""

    def forward(self, scaled, timestep, class_labels, return_dict=False):
        return (class_labels.view(-1, 1, 1, 1).float().expand_as(scaled),)


def knowing(network, prediction):
    made = Denoiser(network, schedule.linear(), prediction)
    made.anchor = nn.Parameter(torch.zeros(()))  # a device to be found on
    return made


def unseen(count=20):
    return TrainingImages(names(count), blobs(names(count)))


@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0", "flow"])
def test_on_gaussian_data_the_best_denoiser_has_the_error_of_the_closed_form(prediction):
    """The posterior variance over sigma^2: STD^2 / (STD^2 + sigma^2), whatever the network predicts."""
    table = schedule.linear()
    best = knowing(PerfectNetwork(table, prediction), prediction)
    found = held_out_errors(best, TrainingImages(names(512), samples(512)))
    for share in SHARES:
        sigma = table.sigma(torch.tensor(share * 999)).item()
        assert found[f"val_loss_t_{share}"] == pytest.approx(STD**2 / (STD**2 + sigma**2), rel=0.05)


def test_a_denoiser_that_knows_each_image_has_no_error():
    """And is told the class of every image: none is dropped."""
    labels = torch.arange(6) % 3
    images = labels.view(-1, 1, 1, 1).float().expand(6, 1, 8, 8)
    found = held_out_errors(knowing(Told(), "x0"), TrainingImages(names(6), images, by_class(labels)), batch_size=4)
    assert set(found.values()) == {0.0}


def test_the_loss_is_the_mean_over_five_timesteps():
    found = held_out_errors(denoiser(), unseen())
    assert list(found) == ["val_loss", *(f"val_loss_t_{share}" for share in SHARES)]
    assert found["val_loss"] == pytest.approx(sum(found[f"val_loss_t_{s}"] for s in SHARES) / 5)


@pytest.mark.parametrize("batch_size", [1, 7, 20])
def test_the_batch_size_does_not_matter(batch_size):
    model = denoiser()
    assert held_out_errors(model, unseen(), batch_size) == pytest.approx(held_out_errors(model, unseen()), rel=1e-5)


def test_the_order_of_the_images_does_not_matter():
    model, images = denoiser(), unseen()
    backwards = TrainingImages(images.ids[::-1], images.pixels.flip(0))
    assert held_out_errors(model, backwards) == pytest.approx(held_out_errors(model, images), rel=1e-5)


def test_random_state_is_neither_used_nor_changed():
    model = denoiser()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = held_out_errors(model, unseen())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert held_out_errors(model, unseen()) == first

"""The miniature's autoencoder: its layout, its loss and its scaling."""

import numpy as np
import pytest
import torch

from difflab.miniature.zoo import small_vae
from difflab.models.autoencoder import set_scaling
from difflab.training.supervised import fit
from fakes.zoo import vae as params

DIGITS = np.arange(40)


def test_latents_have_a_quarter_of_the_side_and_sd3s_sixteen_channels():
    vae = small_vae.build(params(), seed=0)
    images = small_vae.composites(DIGITS, 0, "test", 0, 3)
    assert vae.encode(images).latent_dist.mean.shape == (3, 16, 8, 8)
    assert small_vae.reconstruct(vae, images).shape == images.shape


def test_weights_depend_on_the_seed_only():
    def weights(seed):
        return torch.cat([p.flatten() for p in small_vae.build(params(), seed).parameters()])

    torch.manual_seed(5)
    first = weights(0)
    torch.manual_seed(6)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


def test_a_batch_belongs_to_its_step_and_holds_plain_digits_in_their_share():
    batch = small_vae.training_images(DIGITS, params(), 0, 7)
    assert torch.equal(batch, small_vae.training_images(DIGITS, params(), 0, 7))
    assert not torch.equal(batch, small_vae.training_images(DIGITS, params(), 0, 8))
    corners = batch[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    over_one_colour = (corners == corners[:, :, :1]).flatten(1).all(1)
    assert over_one_colour.tolist() == [False] * 6 + [True] * 2


def test_the_loss_is_its_closed_form():
    vae = small_vae.build(params(), seed=0).eval()
    images = small_vae.training_images(DIGITS, params(), 0, 3)
    torch.manual_seed(1)
    values = small_vae.batch_loss(vae, DIGITS, params(), 0)(3)
    posterior = vae.encode(images).latent_dist
    torch.manual_seed(1)
    noise = torch.randn(posterior.mean.shape)
    restored = vae.decode(posterior.mean + posterior.std * noise).sample
    normal = torch.distributions.Normal(posterior.mean, posterior.std)
    kl = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).mean()
    expected = (restored - images).abs().mean() + (restored - images).square().mean() + 0.01 * kl
    torch.testing.assert_close(values["loss"], expected, rtol=1e-5, atol=1e-6)


def test_training_lowers_the_loss_and_scaling_gives_unit_latents(tmp_path):
    settings = params()
    vae = small_vae.build(settings, seed=0)
    loss = small_vae.batch_loss(vae, DIGITS, settings, 0)
    rows = fit(vae, loss, settings.training, scratch=tmp_path, what="vae")
    assert rows[-1]["train_loss"] < 0.9 * rows[0]["train_loss"]

    images = small_vae.composites(DIGITS, 0, "scaling", 0, 70)
    set_scaling(vae.eval(), images)
    with torch.no_grad():
        mean = vae.encode(images).latent_dist.mean
    latents = (mean - vae.config.shift_factor) * vae.config.scaling_factor
    assert latents.mean().item() == pytest.approx(0, abs=1e-4)
    assert latents.std().item() == pytest.approx(1, abs=1e-4)

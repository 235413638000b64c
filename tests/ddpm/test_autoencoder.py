"""The autoencoder of the latent setting: its shapes, its loss, and its files."""

import pytest
import torch

from difflab.core.base.store.tensors import to_float
from difflab.ddpm import autoencoder
from difflab.ddpm.params import ImageVaeParams
from difflab.models.autoencoder import new_autoencoder, set_scaling
from difflab.models.sampling.latent_images import decode
from difflab.training.supervised import fit
from fakes.zoo import fit_params


def params(**changes) -> ImageVaeParams:
    training = fit_params(steps=12, batch_size=8, learning_rate=2e-3, warmup_steps=1, log_interval=4)
    values = {
        "latent_channels": 4, "block_out_channels": [4, 8, 8], "layers_per_block": 1, "norm_num_groups": 2,
        "kl_weight": 0.01, "training": training,
    }  # fmt: skip
    return ImageVaeParams(**{**values, **changes})


def pixels(count: int = 24) -> torch.Tensor:
    """Smooth images of one colour gradient each: uint8 [n, 3, 16, 16]."""
    ends = torch.randint(0, 256, (count, 3, 2), generator=torch.Generator().manual_seed(0)).float()
    share = torch.linspace(0, 1, 16)
    rows = ends[..., :1] * (1 - share) + ends[..., 1:] * share
    return rows[:, :, None].expand(-1, -1, 16, -1).round().to(torch.uint8)


def build(seed: int = 0):
    return new_autoencoder(params(), 16, seed, mid_block_add_attention=False)


@pytest.mark.parametrize(("widths", "side"), [([4, 8, 8], 4), ([4, 8], 8)])
def test_each_level_but_the_last_halves_the_image(widths, side):
    vae = new_autoencoder(params(block_out_channels=widths), 16, seed=0).eval()
    latents = autoencoder.encode(vae, pixels(3))
    assert latents.shape == (3, 4, side, side)
    assert latents.dtype == torch.float32
    assert decode(vae, latents).shape == (3, 16, 16, 3)


def test_weights_depend_on_the_seed_only():
    def weights(seed):
        return torch.cat([p.flatten() for p in build(seed).parameters()])

    torch.manual_seed(5)
    first = weights(0)
    torch.manual_seed(6)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


def test_the_loss_is_its_closed_form():
    """Squared error, a fifth of the absolute one, and the KL divergence from N(0, 1) per latent number."""
    vae = build().eval()
    one = pixels(1)
    torch.manual_seed(1)
    values = autoencoder.batch_loss(vae, one, params(), 0)(3)
    images = one.expand(8, -1, -1, -1).float() / 127.5 - 1
    posterior = vae.encode(images).latent_dist
    torch.manual_seed(1)
    restored = vae.decode(posterior.mean + posterior.std * torch.randn(posterior.mean.shape)).sample
    normal = torch.distributions.Normal(posterior.mean, posterior.std)
    kl = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).mean()
    error = restored - images
    torch.testing.assert_close(values["mse"], error.square().mean(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(values["kl"], kl, rtol=1e-5, atol=1e-6)
    expected = error.square().mean() + 0.2 * error.abs().mean() + 0.01 * kl
    torch.testing.assert_close(values["loss"], expected, rtol=1e-5, atol=1e-6)


def test_a_batch_belongs_to_seed_and_step():
    vae = build().eval()

    def kl(step: int, seed: int = 0) -> float:
        return autoencoder.batch_loss(vae, pixels(), params(), seed)(step)["kl"].item()

    assert kl(3) == kl(3)
    assert len({kl(3), kl(4), kl(3, seed=1)}) == 3


def test_training_lowers_the_loss_and_latents_come_out_with_unit_spread(tmp_path):
    vae, settings = build(), params()
    rows = fit(vae, autoencoder.batch_loss(vae, pixels(), settings, 0), settings.training, scratch=tmp_path, what="vae")
    assert rows[-1]["train_loss"] < 0.9 * rows[0]["train_loss"]

    set_scaling(vae.eval(), to_float(pixels()))
    latents = autoencoder.encode(vae, pixels())
    assert latents.mean().item() == pytest.approx(0, abs=1e-4)
    assert latents.std().item() == pytest.approx(1, abs=1e-3)


def test_decoding_undoes_the_shift_and_the_scaling():
    vae = build().eval()
    plain = autoencoder.encode(vae, pixels())
    pictures = decode(vae, plain)
    vae.register_to_config(scaling_factor=2.5, shift_factor=-0.7)
    latents = autoencoder.encode(vae, pixels())
    torch.testing.assert_close(latents, 2.5 * (plain + 0.7))
    assert abs(decode(vae, latents).astype(int) - pictures).max() <= 1


@pytest.mark.parametrize("batch_size", [1, 7, 24])
def test_images_are_encoded_in_batches_that_change_nothing(batch_size):
    vae = build().eval()
    torch.testing.assert_close(
        autoencoder.encode(vae, pixels(), batch_size), autoencoder.encode(vae, pixels()), rtol=1e-4, atol=1e-5
    )

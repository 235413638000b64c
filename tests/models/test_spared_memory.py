"""An autoencoder that takes a batch picture by picture, or in tiles, gives the same pictures."""

import pytest
import torch

from difflab.core.base import roles
from fakes.sd3_study import make_vae


@pytest.mark.parametrize(("batch", "seen"), [("whole", [3]), ("sliced", [1, 1, 1]), ("tiled", [1] * 27)])
def test_an_autoencoder_sees_a_batch_whole_picture_by_picture_or_in_tiles(batch, seen):
    """Slices change rounding alone; tiles, of half the side of the pictures that it was trained on, more."""
    vae, latents = make_vae(sample_size=32), torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = vae.decode(latents).sample
        roles.spare_memory(vae, batch)
        sizes = []
        vae.decoder.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
        spared = vae.decode(latents).sample
    assert sizes == seen
    assert spared.shape == whole.shape
    difference = (spared - whole).abs().max().item()
    assert difference < 1e-5 if batch != "tiled" else difference > 1e-5  # tiles have group norms of their own
    assert spared.isfinite().all()


@pytest.mark.parametrize("batch", ["whole", "sliced"])
def test_slices_give_the_same_moments(batch):
    vae = make_vae(sample_size=32)
    roles.spare_memory(vae, batch)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        both, each = vae.encode(images).latent_dist, [vae.encode(image[None]).latent_dist for image in images]
    torch.testing.assert_close(both.mean, torch.cat([one.mean for one in each]), rtol=1e-5, atol=1e-5)

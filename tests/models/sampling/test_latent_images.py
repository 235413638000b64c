"""The numbers between an autoencoder and latents."""

from types import SimpleNamespace

import pytest

from difflab.core.base.errors import DifflabError
from difflab.models.sampling.latent_images import latent_scaling


@pytest.mark.parametrize(("shift", "shown"), [(None, 0.0), (0.0609, 0.0609), (-1, -1)])
def test_a_shift_that_is_absent_is_none(shift, shown):
    vae = SimpleNamespace(config={"shift_factor": shift, "scaling_factor": 1.5305})
    assert latent_scaling(vae) == (shown, 1.5305)


@pytest.mark.parametrize(
    ("shift", "scale"),
    [(0.1, None), (0.1, 0), (0.1, -0.2), (0.1, float("nan")), (0.1, "0.18"), ("0.1", 0.18), ([0.1] * 4, 0.18)],
)
def test_a_configuration_without_two_numbers_is_refused(shift, scale):
    with pytest.raises(DifflabError, match=r"has scaling_factor .* and shift_factor .*: set them"):
        latent_scaling(SimpleNamespace(config={"shift_factor": shift, "scaling_factor": scale}))

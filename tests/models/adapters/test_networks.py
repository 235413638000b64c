"""A whole denoiser takes the place of its base's, and the base is back afterwards."""

import pytest
import torch

from difflab.core.base.errors import DifflabError, Unreadable
from difflab.models.adapters.reading import read_trained
from fakes import adapters


@pytest.fixture
def pipeline():
    return adapters.base("sd")


@pytest.fixture
def trained(tmp_path, pipeline):
    """models/personal/<training>/network, whose last layer was trained."""
    network = adapters.base("sd").unet
    with torch.no_grad():
        network.conv_out.weight.mul_(-1)
    network.save_pretrained(tmp_path / "full_none-9-dog-0/network")
    return tmp_path / "full_none-9-dog-0", network


def test_on_the_base_it_makes_its_own_pictures(pipeline, trained):
    folder, network = trained
    before, unet = adapters.picture(pipeline), pipeline.unet
    found = read_trained(folder)
    found.check_fit(pipeline)
    assert (found.denoiser, found.told()) == ("unet", "the whole unet")
    with found.on(pipeline):
        made = adapters.picture(pipeline)
    assert pipeline.unet is unet
    pipeline.unet = network
    assert (adapters.picture(pipeline) == made).all()
    assert abs(made - before).max() > 0.05


def test_of_another_base_it_is_refused(pipeline, trained, tmp_path):
    from diffusers import UNet2DConditionModel

    UNet2DConditionModel(**{**pipeline.unet.config, "cross_attention_dim": 24}).save_pretrained(tmp_path / "other")
    with pytest.raises(DifflabError, match=r"24\], and \[\d+, 16\] in the base: it was trained on another one"):
        read_trained(tmp_path / "other").check_fit(pipeline)


def test_cut_off_it_is_one_line(pipeline, trained):
    path = trained[0] / "network/diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(Unreadable):
        read_trained(trained[0]).check_fit(pipeline)

"""pytorch-fid's network from a local file: rearranged for speed, equal in value."""

import numpy as np
import pytest
import torch

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.metrics.features import features, inception

pytest.importorskip("torchvision")


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """The plain network with He-initialised convolutions and arbitrary batch statistics."""
    from pytorch_fid.inception import InceptionV3

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.Module, "load_state_dict", lambda self, state: None)
        patch.setattr("pytorch_fid.inception.load_state_dict_from_url", lambda *args, **kwargs: {})
        network = InceptionV3([3]).eval()
    generator = rng.torch_generator(0, "inception test")
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, generator=generator)
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return network


@pytest.fixture(scope="module")
def folder(network, tmp_path_factory):
    """A role folder with the weights under the names of the released file."""
    from pytorch_fid.inception import fid_inception_v3
    from safetensors.torch import save_file

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.Module, "load_state_dict", lambda self, state: None)
        patch.setattr("pytorch_fid.inception.load_state_dict_from_url", lambda *args, **kwargs: {})
        plain = fid_inception_v3()
    kinds = torch.nn.Conv2d | torch.nn.BatchNorm2d
    pairs = zip(*([m for m in n.modules() if isinstance(m, kinds)] for n in (network, plain)), strict=True)
    for source, target in pairs:
        target.load_state_dict(source.state_dict())
    path = tmp_path_factory.mktemp("vision_encoder")
    save_file(plain.state_dict(), path / "inception.safetensors")
    return path


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return rng.numpy_rng(0, "images").integers(0, 256, (5, 40, 48, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def extractor(folder):
    return features.load_extractor("inception", folder)


def plain_features(network, images: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return network(torch.from_numpy(images).permute(0, 3, 1, 2) / 255)[0].flatten(1).numpy()


def test_folded_channels_last_features_equal_the_plain_ones(network, extractor, images):
    expected, found = plain_features(network, images), extractor(images)
    assert found.shape == (5, 2048)
    assert expected.std() > 0.1  # the stand-in weights give features worth comparing
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_no_batch_normalisation_is_left(extractor):
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in extractor.network.modules())


def test_features_do_not_depend_on_the_batch_size(extractor, images):
    whole, single = (features.extract(images, extractor, batch_size=n) for n in (5, 1))
    assert np.abs(whole - single).max() < 1e-5 * np.abs(whole).max()


def test_absent_weights_offline_say_what_to_fetch_and_where(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DifflabError, match=r"put https://github\.com/.*pt_inception.* there"):
        inception.find_weights(tmp_path)


def test_the_place_where_pytorch_fid_keeps_its_weights_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    kept = tmp_path / "hub" / "checkpoints" / inception.WEIGHTS
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert inception.find_weights(tmp_path / "absent") == kept


def test_a_failed_download_leaves_nothing_and_says_so(tmp_path, monkeypatch):
    def fail(url, path, **options):
        raise OSError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(DifflabError, match="no route to host"):
        inception.find_weights(tmp_path)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]

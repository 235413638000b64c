"""The classifier that judges samples: He's ResNet-20, its published weights, and its files."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from difflab.core.base.errors import DifflabError
from difflab.ddpm import classifier
from difflab.training.supervised import fit
from fakes.real_cifar10 import classes_and_splits
from fakes.zoo import fit_params

CLASSES = ["cat", "dog", "ship"]


def pixels(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)


def test_it_has_the_parameters_of_the_paper():
    """0.27 million (He et al. 2016, table 6); shortcuts have none."""
    network = classifier.build([str(n) for n in range(10)], seed=0)
    assert sum(p.numel() for p in network.parameters()) == 269_722
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert network.features(torch.zeros(2, 3, 32, 32)).shape == (2, classifier.DIM)


def test_published_weights_have_their_known_accuracy_on_real_images(data_root):
    names, splits = classes_and_splits(data_root)
    images, labels = splits["test"]
    network = classifier.load_weights(data_root / "weights" / "cifar10-resnet20.safetensors", names)
    _, seen = classifier.judge(network, torch.from_numpy(images).permute(0, 3, 1, 2))
    assert len(labels) == 1017
    assert (seen.numpy() == labels).mean() == pytest.approx(0.916, abs=5e-4)


@torch.no_grad()
@pytest.mark.parametrize("batch_size", [1, 4, 9])
def test_judgement_does_not_depend_on_the_batch_size(batch_size):
    network = classifier.build(CLASSES, seed=0).eval()
    features, classes = classifier.judge(network, pixels(9))
    again, same = classifier.judge(network, pixels(9), batch_size)
    torch.testing.assert_close(again, features, rtol=1e-5, atol=1e-5)
    assert torch.equal(same, classes)
    assert torch.equal(classes, network.linear(features).argmax(1))


def test_a_saved_classifier_comes_back_as_it_was(tmp_path):
    network = classifier.build(CLASSES, seed=0)
    network(pixels(8).float() / 255)  # batch-norm statistics of its own
    classifier.save(tmp_path, network)
    loaded = classifier.load(tmp_path)
    assert loaded.classes == CLASSES
    assert not loaded.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_weights_without_counters_of_batches_load_too(tmp_path):
    classifier.save(tmp_path, classifier.build(CLASSES, seed=0))
    path = tmp_path / classifier.WEIGHTS
    save_file({k: v for k, v in load_file(path).items() if not k.endswith("num_batches_tracked")}, path)
    assert classifier.load(tmp_path).classes == CLASSES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv1.weight": None}, r'holds no ResNet-20 of 3 classes: Missing key.*: "conv1\.weight"'),
        ({"linear.weight": torch.zeros(10, 64)}, r"size mismatch for linear\.weight"),
        ({"layer1.3.conv1.weight": torch.zeros(1)}, r'no ResNet-20 .*: Unexpected key.*: "layer1\.3\.conv1\.weight"'),
    ],
)
def test_weights_of_another_network_are_refused_by_name(tmp_path, change, message):
    classifier.save(tmp_path, classifier.build(CLASSES, seed=0))
    tensors = load_file(tmp_path / classifier.WEIGHTS) | change
    save_file({k: v for k, v in tensors.items() if v is not None}, tmp_path / classifier.WEIGHTS)
    with pytest.raises(DifflabError, match=message):
        classifier.load(tmp_path)


def test_a_missing_classifier_says_what_to_run(tmp_path):
    with pytest.raises(DifflabError, match=r"classifier\.safetensors is missing: run `dvc repro zoo_classifier`"):
        classifier.load(tmp_path)


def test_weights_depend_on_the_seed_only():
    def weights(seed):
        return torch.cat([p.flatten() for p in classifier.build(CLASSES, seed).parameters()])

    torch.manual_seed(5)
    first = weights(0)
    torch.manual_seed(6)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


class Looker(torch.nn.Module):
    """Keeps what it was shown."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen = images
        return images.flatten(1)[:, :3]


def shown(step: int, **changes) -> torch.Tensor:
    looker = Looker()
    options = {"batch_size": 6, "flip": False, "shift": 0, "seed": 0} | changes
    classifier.batch_loss(looker, ramps(), torch.zeros(8, dtype=torch.int64), **options)(step)
    return looker.seen


def ramps() -> torch.Tensor:
    """Eight images that grow brighter to the right, each from another level."""
    levels = 16 * torch.arange(8)[:, None] + 2 * torch.arange(32)
    return levels.to(torch.uint8)[:, None, None].expand(-1, 3, 32, -1).contiguous()


def test_a_batch_belongs_to_seed_and_step():
    assert torch.equal(shown(3), shown(3))
    assert not torch.equal(shown(3), shown(4))
    assert not torch.equal(shown(3), shown(3, seed=1))
    assert {row.item() for row in ((shown(3)[:, 0, 0, 0] + 1) * 127.5 / 16).round()} <= set(range(8))


def test_half_of_the_images_are_mirrored_where_that_is_wanted():
    assert (shown(0)[..., 0] < shown(0)[..., 31]).all()
    rising = torch.cat([shown(step, flip=True)[:, 0, 0, 0] < shown(step, flip=True)[:, 0, 0, 31] for step in range(30)])
    assert rising.float().mean().item() == pytest.approx(0.5, abs=0.1)


def test_images_move_by_at_most_the_shift_and_borders_are_repeated():
    still = torch.stack([shown(step)[0, 0, 0, 16] for step in range(40)])
    moved = torch.stack([shown(step, shift=2)[0, 0, 0, 16] for step in range(40)])
    assert set(((moved - still) * 127.5 / 2).round().tolist()) == {-2, -1, 0, 1, 2}


def test_training_learns_the_classes_and_says_how_many_are_right(tmp_path):
    network = classifier.build(["dark", "light"], seed=0)
    labels = torch.arange(32) % 2
    images = (pixels(32) // 2 + (100 * labels)[:, None, None, None]).to(torch.uint8)
    loss = classifier.batch_loss(network, images, labels, batch_size=16, flip=True, shift=2, seed=0)
    settings = fit_params(
        steps=12, batch_size=16, learning_rate=1e-2, warmup_steps=2, max_grad_norm=5.0, log_interval=4
    )
    rows = fit(network, loss, settings, scratch=tmp_path, what="classifier")
    assert rows[-1]["train_loss"] < 0.5 * rows[0]["train_loss"]
    assert rows[-1]["accuracy"] > 0.9
    assert np.isfinite(rows[-1]["train_loss"])


def test_classes_of_numbers_that_are_not_finite_are_refused():
    network = classifier.build(CLASSES, seed=0).eval()
    next(network.parameters()).data.fill_(float("nan"))
    with pytest.raises(DifflabError, match="what the classifier sees in picture number 0 is not finite"):
        classifier.judge(network, pixels(2))

"""The ResNet-20s that judge the images of each set: copy the committed one, train it, or take published weights."""

from pathlib import Path
from typing import Any

import torch

from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path, sha256_bytes
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.ddpm import classifier
from difflab.ddpm.common.data import class_names, load_pixels
from difflab.ddpm.params import ZooClassifierInputs
from difflab.images.archives.opening import data_root
from difflab.models import rulers
from difflab.training.supervised import fit

FOLDER = Path("models/zoo/classifier")


def main(stage: Stage[ZooClassifierInputs]) -> None:
    metrics: dict[str, float | str | None] = {}
    for dataset, _ in stage.params.zoo.classifier:
        found = make(stage, dataset)
        print(f"{dataset}: {found['accuracy']:.1%} of {found['n']} test images are named")
        metrics |= {f"{dataset}_{name}": value for name, value in found.items()}
    stage.write_metrics("metrics/zoo_classifier.json", metrics)
    stage.done(f"wrote {FOLDER}")


def make(stage: Stage[ZooClassifierInputs], dataset: str) -> dict[str, Any]:
    """Write the classifier of one set; its accuracy on the n test images, and which ruler it is."""
    params, folder = stage.params.zoo.classifier[dataset], FOLDER / dataset
    store = ImageStore(f"data/images/{dataset}")
    classes = list(store.attributes.columns)
    test, labels = images(store, "test")

    def accuracy(folder: Path) -> dict[str, float | int]:
        network = classifier.load(folder).to(runtime.resolve_device(stage.params.runtime.device))
        _, seen = classifier.judge(network, test)
        return {"accuracy": (seen == labels).float().mean().item(), "n": len(test)}

    if params.weights is not None:
        path = data_root(stage.params.data.data_root) / params.weights
        if not path.is_file():
            raise DifflabError(f"{path} is missing: put the weights there, or set zoo.classifier.{dataset}.weights")
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            classifier.save(temporary, classifier.load_weights(path, classes))
    else:
        pixels, numbers = images(store, "train")
        pictures = sha256_bytes(repr(classes).encode() + pixels.numpy().tobytes() + numbers.numpy().tobytes())
        if stage.params.zoo.rulers == "committed":
            rulers.take(folder, params, pictures)
        else:
            network = trained(stage, dataset, classes, pixels, numbers)
            with atomic_path(folder) as temporary:
                temporary.mkdir()
                classifier.save(temporary, network.half())
                rulers.describe(temporary, stage.address, params, pictures, accuracy(temporary))
    return {**accuracy(folder), "trained": int(params.weights is None), "ruler": rulers.ruler(folder)}


def images(store: ImageStore, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels uint8 [n, 3, 32, 32] of a split, and the numbers int64 [n] of their classes."""
    ids, classes = store.split(split), list(store.attributes.columns)
    numbers = [classes.index(name) for name in class_names(store, ids)]
    return load_pixels(store, ids, classifier.SIZE), torch.tensor(numbers)


def trained(
    stage: Stage[ZooClassifierInputs], dataset: str, classes: list[str], pixels: torch.Tensor, labels: torch.Tensor
) -> classifier.ResNet20:
    """A network that has learnt the classes of these images."""
    params, seed = stage.params.zoo.classifier[dataset], rulers.SEED
    device = runtime.resolve_device(stage.params.runtime.device)
    network = classifier.build(classes, seed).to(device)
    loss = classifier.batch_loss(
        network, pixels.to(device), labels,
        batch_size=params.training.batch_size, flip=params.flip, shift=params.shift, seed=seed,
    )  # fmt: skip
    log, what = stage.run.log_metrics, f"classifier {dataset}"
    fit(network, loss, params.training, scratch=stage.scratch() / dataset, log=log, what=what)
    return network


if __name__ == "__main__":
    run(main)

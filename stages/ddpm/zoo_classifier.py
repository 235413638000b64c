"""Train the ResNet-20 that judges the images of one set, or take published weights from the data root."""

from pathlib import Path

import torch

from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path
from difflab.core.base.stage import Stage, run
from difflab.ddpm import classifier
from difflab.ddpm.data import class_names, load_pixels
from difflab.ddpm.params import ZooClassifierInputs
from difflab.images.archives.opening import data_root
from difflab.images.store.image_store import ImageStore
from difflab.training.supervised import fit


def main(stage: Stage[ZooClassifierInputs], *, dataset: str) -> None:
    params, seed = stage.params.zoo.classifier[dataset], stage.params.seed
    device = runtime.resolve_device(stage.params.runtime.device)
    store = ImageStore(f"data/images/{dataset}")
    classes = list(store.attributes.columns)

    def images(split: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels of a split, and the numbers of their classes."""
        ids = store.split(split)
        numbers = [classes.index(name) for name in class_names(store, ids)]
        return load_pixels(store, ids, classifier.SIZE), torch.tensor(numbers)

    if params.weights is None:
        network = classifier.build(classes, seed).to(device)
        pixels, labels = images("train")
        loss = classifier.batch_loss(
            network, pixels.to(device), labels,
            batch_size=params.training.batch_size, flip=params.flip, shift=params.shift, seed=seed,
        )  # fmt: skip
        log, what = stage.run.log_metrics, f"classifier {dataset}"
        fit(network, loss, params.training, scratch=stage.scratch(), log=log, what=what)
    else:
        path = data_root(stage.params.data.data_root) / params.weights
        if not path.is_file():
            raise DifflabError(f"{path} is missing: put the weights there, or set zoo.classifier.{dataset}.weights")
        network = classifier.load_weights(path, classes).to(device)
    network.eval()
    folder = Path("models/zoo/classifier") / dataset
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        classifier.save(temporary, network)

    test, labels = images("test")
    _, seen = classifier.judge(network, test)
    accuracy = (seen == labels).float().mean().item()
    metrics = {"accuracy": accuracy, "n": len(test), "trained": int(params.weights is None)}
    stage.write_metrics(f"metrics/zoo_classifier/{dataset}.json", metrics)
    stage.done(f"wrote {folder}, which names {accuracy:.1%} of {len(test)} test images")


if __name__ == "__main__":
    run(main)

"""The real CIFAR-10 of the data root, as tests read it."""

from functools import cache
from pathlib import Path

import numpy as np

from difflab.images.archives.opening import open_archive
from difflab.images.sets.formats import cifar10


@cache
def classes_and_splits(data_root: Path) -> tuple[tuple[str, ...], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """The class names, and by split the images uint8 [n, 32, 32, 3] and labels [n]."""
    names, batches = cifar10.read(open_archive(data_root / "cifar10" / "cifar-10-binary.tar.gz"))
    return names, {
        split: (np.concatenate([b.images for b in files]), np.concatenate([b.labels for b in files]))
        for split, files in batches.items()
    }

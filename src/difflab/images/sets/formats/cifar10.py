"""CIFAR-10, the official binary version (cifar-10-binary.tar.gz, or its unpacked folder).

data_batch_1.bin to data_batch_5.bin and test_batch.bin hold rows of 1 label byte and 3,072 bytes: the red, the
green and the blue plane of 32 x 32 pixels, row by row. batches.meta.txt holds the names of the classes, one a
line. A file may hold fewer rows than the official 10,000. Source: https://www.cs.toronto.edu/~kriz/cifar.html
"""

from typing import TYPE_CHECKING

import numpy as np

from difflab.core.base.errors import DifflabError
from difflab.images.sets.formats.rows import Labelled, decoded_text

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive

NAMES = "batches.meta.txt"
BATCHES = {"train": tuple(f"data_batch_{n}.bin" for n in range(1, 6)), "test": ("test_batch.bin",)}
_ROW = 1 + 3 * 32**2
_CLASSES = 10


def read(archive: "Archive") -> tuple[tuple[str, ...], dict[str, list[Labelled]]]:
    """The class names, and the batches of each split with images uint8 [n, 32, 32, 3]."""
    folder = archive.locate(NAMES)
    lines = decoded_text(archive.read(folder + NAMES), f"{archive.path}: {folder + NAMES}").splitlines()
    names = tuple(line.strip() for line in lines if line.strip())
    if len(set(names)) != _CLASSES or len(names) != _CLASSES:
        raise DifflabError(
            f"{archive.path}: {folder + NAMES} names {len(set(names))} classes in {len(names)} lines instead of 10: "
            "fetch the archive again"
        )
    return names, {split: [_read_batch(archive, folder, file) for file in files] for split, files in BATCHES.items()}


def _read_batch(archive: "Archive", folder: str, file: str) -> Labelled:
    if not archive.has(folder + file):
        raise DifflabError(f"{archive.path} has no {file}: fetch the whole of cifar-10-binary.tar.gz")
    content = archive.read(folder + file)
    where = f"{archive.path}: {folder + file}"
    if not content or len(content) % _ROW:
        raise DifflabError(
            f"{where} has {len(content):,} bytes, which are not rows of {_ROW:,}: fetch the archive again"
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, _ROW)
    labels = rows[:, 0]
    if labels.max() >= _CLASSES:
        row = int(np.argmax(labels >= _CLASSES))
        raise DifflabError(
            f"{where}, row {row + 1}: the label {labels[row]} is none of 0 to 9: "
            "is it the binary version of CIFAR-10? fetch it again"
        )
    return Labelled(folder + file, rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels)

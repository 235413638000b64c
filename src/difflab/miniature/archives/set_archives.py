"""The archives of the miniature's image sets, in the formats of CIFAR-10, MNIST, COCO and recipes."""

import csv
import io
import json
import struct
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from difflab.core.base.files import write_bytes, write_zip
from difflab.core.base.numerals import NUMBER_WORDS
from difflab.miniature.archives import set_pictures
from difflab.miniature.data.templates import sentences
from difflab.miniature.data.vocabulary import PHOTO_DESCRIPTIONS

CIFAR10_FOLDER = "cifar-10-batches-bin"
CIFAR10_FILES = {"train": [f"data_batch_{n}.bin" for n in range(1, 6)], "test": ["test_batch.bin"]}
MNIST_NAMES = {"train": "train", "test": "t10k"}
RECIPES = "Food Ingredients and Recipe Dataset with Image Name Mapping.csv"


def write_cifar10(path: Path, seed: int) -> None:
    """cifar-10-binary.tar.gz: five batches of 300 images to train on, one of 300 to test, the names of the classes."""
    names = "\n".join(name.lower() for name in set_pictures.CLASSES) + "\n\n"
    entries = [("batches.meta.txt", names.encode())]
    for split, files in CIFAR10_FILES.items():
        images, labels = set_pictures.crops(split, seed)
        planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        rows = np.concatenate([labels[:, None], planes], axis=1)
        parts = np.array_split(rows, len(files))
        entries += [(file, part.tobytes()) for file, part in zip(files, parts, strict=True)]
    write_bytes(path, _gzip(_tar((f"{CIFAR10_FOLDER}/{name}", content) for name, content in entries)))


def write_mnist(folder: Path, seed: int) -> None:
    """The four idx files of MNIST, as gzip files: 1,497 digits to train on and 300 to test."""
    for split, name in MNIST_NAMES.items():
        images, labels = set_pictures.large_digits(split, seed)
        write_bytes(folder / f"{name}-images-idx3-ubyte.gz", _gzip(_idx(images)))
        write_bytes(folder / f"{name}-labels-idx1-ubyte.gz", _gzip(_idx(labels)))


def write_scenes(path: Path, seed: int) -> None:
    """landscapes.zip: 60 photographs of various sizes."""
    pictures = enumerate(set_pictures.scenes(seed), start=1)
    write_zip(path, ((f"landscapes/{number:06d}.jpg", jpeg(image)) for number, image in pictures))


def write_coco(path: Path, seed: int) -> None:
    """coco.zip: 40 images with five captions each, and annotations/captions_train2017.json."""
    pictures = set_pictures.captioned(seed)
    images, annotations, files = [], [], []
    for number, picture in enumerate(pictures, start=1):
        file, (height, width, _) = f"{number:012d}.jpg", picture.image.shape
        images.append({"file_name": file, "height": height, "width": width, "id": number})
        for caption in sentences(picture):
            annotations.append({"image_id": number, "id": len(annotations) + 1, "caption": caption})
        files.append((f"train2017/{file}", jpeg(picture.image)))
    content = {"info": {"description": "digits over photographs"}, "licenses": []}
    content |= {"images": images, "annotations": annotations}
    write_zip(path, [("annotations/captions_train2017.json", json.dumps(content).encode()), *files])


def write_recipes(path: Path, seed: int) -> None:
    """The zip of the recipes: their csv with all its columns, and "Food Images" with 1,320 pictures."""
    files, text = [], io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("", "Title", "Ingredients", "Instructions", "Image_Name", "Cleaned_Ingredients"))
    for number, (picture, title) in enumerate(set_pictures.titled(seed)):
        name = title.lower().replace(" ", "-")
        digit, photo = NUMBER_WORDS[picture.digit], PHOTO_DESCRIPTIONS[picture.photo]
        ingredients = str([f"1 {digit}", photo])
        writer.writerow((number, title, ingredients, f"Write the {digit} over {photo}.", name, ingredients))
        files.append((f"Food Images/{name}.jpg", jpeg(picture.image)))
    write_zip(path, [(RECIPES, text.getvalue().encode()), *files])


def _idx(values: np.ndarray) -> bytes:
    """uint8 values as an idx file."""
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    return header + values.astype(np.uint8).tobytes()


def _tar(entries: Iterable[tuple[str, bytes]]) -> bytes:
    """A tar archive with a fixed date and owner, in the given order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in entries:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _gzip(content: bytes) -> bytes:
    """A gzip file (RFC 1952) of stored blocks, without date: packed bytes would depend on the zlib that packs."""
    file = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    for start in range(0, len(content), 65535):
        block = content[start : start + 65535]
        last = start + len(block) == len(content)
        file += struct.pack("<BHH", last, len(block), 65535 - len(block)) + block
    return file + struct.pack("<II", zlib.crc32(content), len(content))


def jpeg(image: np.ndarray) -> bytes:
    """Encoded by libjpeg-turbo's integer transform, whose vector code gives the bytes of its plain code."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=95, subsampling=0)
    return buffer.getvalue()

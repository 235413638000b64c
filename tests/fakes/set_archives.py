"""Small archives of image sets, with anything wrong with them that a test asks for."""

import csv
import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

RECIPES = "Food Ingredients and Recipe Dataset with Image Name Mapping.csv"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(width: int, height: int, seed: int = 0, form: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels(height, width, 3, seed=seed)).save(buffer, format=form, **options)
    return buffer.getvalue()


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def write_folder(folder: Path, members: dict[str, bytes | str]) -> Path:
    for name, content in members.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def cifar10_members(rows: int = 3, folder: str = "cifar-10-batches-bin/") -> dict[str, bytes]:
    """Six files of `rows` rows; row r of file f has the label (f + r) % 10."""
    members = {f"{folder}batches.meta.txt": ("\n".join(CLASSES) + "\n\n").encode()}
    files = [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]
    for number, file in enumerate(files):
        labels = (number + np.arange(rows, dtype=np.uint8)) % 10
        table = np.concatenate([labels[:, None], pixels(rows, 3072, seed=number)], axis=1)
        members[folder + file] = table.tobytes()
    return members


def idx(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.tobytes()


def mnist_members(train: int = 12, test: int = 5, packed: bool = True) -> dict[str, bytes]:
    members = {}
    for name, count in (("train", train), ("t10k", test)):
        labels = np.arange(count, dtype=np.uint8) % 10
        for file, values in (
            (f"{name}-images-idx3-ubyte", pixels(count, 28, 28, seed=count)),
            (f"{name}-labels-idx1-ubyte", labels),
        ):
            content = idx(values)
            members[file + ".gz" * packed] = gzip.compress(content) if packed else content
    return members


def coco_members(captions: dict[int, list[str]], part: str = "train2017", **changes) -> dict[str, bytes]:
    """COCO's annotations and images, captions by image number; `changes` replace parts of the JSON."""
    content = {
        "images": [{"id": n, "file_name": f"{n:012d}.jpg"} for n in captions],
        "annotations": [
            {"image_id": n, "id": 100 * n + k, "caption": caption}
            for k in range(max(map(len, captions.values()), default=0))
            for n, texts in captions.items()
            for caption in texts[k : k + 1]
        ],
    } | changes
    images = {f"{part}/{n:012d}.jpg": encoded(20, 16, seed=n, form="JPEG") for n in captions}
    return {f"annotations/captions_{part}.json": json.dumps(content).encode(), **images}


def recipe_members(titles: dict[str, str] | list[tuple[str, str]]) -> dict[str, bytes]:
    """The csv of recipes by Image_Name; with an image of 16 x 12 for each name of a dict, without where it is a list."""
    rows = list(titles.items()) if isinstance(titles, dict) else titles
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("", "Title", "Ingredients", "Instructions", "Image_Name", "Cleaned_Ingredients"))
    for number, (name, title) in enumerate(rows):
        writer.writerow((number, title, "['1 egg', \"salt\"]", "Boil.\n\nServe.", name, "['1 egg']"))
    images = {
        f"Food Images/{name}.jpg": encoded(16, 12, seed=n, form="JPEG")
        for n, (name, _) in enumerate(rows if isinstance(titles, dict) else ())
    }
    return {RECIPES: text.getvalue().encode(), **images}

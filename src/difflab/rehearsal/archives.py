"""A data root of archives in the official formats, with a few made-up pictures each."""

import csv
import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from difflab.core.base import rng
from difflab.core.base.files import atomic_path, write_bytes, write_zip

LEAST_IMAGES = (
    8  # with three times as many faces, a split in quarters leaves six in each part, for five neighbours of each
)
WEIGHTS = "cifar10-resnet20.safetensors"
ATTRIBUTES = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache",
    "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks",
    "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick",
    "Wearing_Necklace", "Wearing_Necktie", "Young",
)  # fmt: skip
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_DISHES = ("soup", "salad", "curry", "stew", "bread", "tart", "pie", "risotto", "noodles", "omelette")
_OF = ("tomato", "spinach", "pumpkin", "mushroom", "potato", "leek", "apple", "pepper", "onion", "carrot")


def picture(height: int, width: int, *names: str | int) -> np.ndarray:
    """A picture like no other: waves of three colours with some noise, uint8 [height, width, 3]."""
    generator = rng.numpy_rng(0, "rehearsal", *names)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = []
    for _ in range(3):
        across, down, phase = generator.uniform(2, 20), generator.uniform(2, 20), generator.uniform(0, 6)
        waves.append(np.sin(across * x + down * y + phase) * generator.uniform(30, 80) + generator.uniform(80, 170))
    noisy = np.stack(waves, axis=-1) + generator.normal(0, 6, (height, width, 3))
    return noisy.clip(0, 255).astype(np.uint8)


def jpeg(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=92)
    return buffer.getvalue()


def write_celeba_hq(path: Path, images: int, size: int) -> None:
    """CelebAMask-HQ.zip: the attribute table, the mapping to CelebA, and three times as many square pictures."""
    top, numbers = "CelebAMask-HQ", range(3 * images)
    mapping = "".join(f"{n:<12d}{n:<12d}{n + 1:06d}.jpg\n" for n in numbers)
    write_zip(
        path,
        [
            (f"{top}/CelebAMask-HQ-attribute-anno.txt", _attributes([f"{n}.jpg" for n in numbers])),
            (f"{top}/CelebA-HQ-to-CelebA-mapping.txt", f"idx         orig_idx    orig_file\n{mapping}".encode()),
            *((f"{top}/CelebA-HQ-img/{n}.jpg", jpeg(picture(size, size, "celeba_hq", n))) for n in numbers),
        ],
    )


def write_celeba(path: Path, images: int, size: int) -> None:
    """CelebA.zip: the rows of CelebA-HQ's pictures, and a third as many others, of which every fourth is too small."""
    files = [f"{n + 1:06d}.jpg" for n in range(4 * images)]
    shapes = [(size // 2, size // 2) if n % 4 == 3 else (size + size // 4, size + n % 3) for n in range(images)]
    boxes = [f"{len(files)}\nimage_id x_1 y_1 width height\n"]
    boxes += [f"{file} {size // 8:4d} {size // 8:4d} {size // 4:4d} {size // 4:4d}\n" for file in files]
    write_zip(
        path,
        [
            ("CelebA/Anno/list_attr_celeba.txt", _attributes(files)),
            ("CelebA/Anno/list_bbox_celeba.txt", "".join(boxes).encode()),
            *(
                (f"CelebA/Img/img_celeba/{file}", jpeg(picture(*shape, "celeba", file)))
                for file, shape in zip(files[3 * images :], shapes, strict=True)
            ),
        ],
    )


def _attributes(files: list[str]) -> bytes:
    """The attribute table; men and women, who alone wear lipstick, take turns, as the split is stratified on both."""
    lines = [f"{len(files)}\n{' '.join(ATTRIBUTES)}\n"]
    for number, file in enumerate(files):
        drawn = rng.numpy_rng(0, "rehearsal attributes", file).random(len(ATTRIBUTES)) < 0.3
        row = dict(zip(ATTRIBUTES, drawn.tolist(), strict=True))
        man = number % 2 == 0
        row |= {"Male": man, "Wearing_Lipstick": not man, "Smiling": man}
        lines.append(f"{file}  {' '.join(' 1' if value else '-1' for value in row.values())}\n")
    return "".join(lines).encode()


def write_cifar10(path: Path, images: int, size: int) -> None:
    """cifar-10-binary.tar.gz: at least two pictures of each class in every batch, as means of classes are taken away."""
    rows = max(images, 2 * len(CIFAR10))
    with atomic_path(path) as temporary, tarfile.open(temporary, "w:gz") as archive:
        _add(archive, "batches.meta.txt", ("\n".join(CIFAR10) + "\n\n").encode())
        for file in (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"):
            planes = [picture(32, 32, file, n).transpose(2, 0, 1).tobytes() for n in range(rows)]
            _add(archive, file, b"".join(bytes([n % 10]) + plane for n, plane in enumerate(planes)))


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def write_mnist(folder: Path, images: int, size: int) -> None:
    """The four idx files of MNIST."""
    for name, count in (("train", 5 * max(images, 10)), ("t10k", max(images, 10))):
        pixels = np.stack([picture(28, 28, "mnist", name, n)[..., 0] for n in range(count)])
        for kind, values in (("images-idx3", pixels), ("labels-idx1", np.arange(count, dtype=np.uint8) % 10)):
            header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
            write_bytes(folder / f"{name}-{kind}-ubyte.gz", gzip.compress(header + values.tobytes(), mtime=0))


def write_scenes(path: Path, images: int, size: int) -> None:
    """landscapes.zip: photographs of two shapes."""
    shapes = [(size, size + 40 * (n % 2)) for n in range(3 * images)]
    pictures = (picture(*shape, "scene", n) for n, shape in enumerate(shapes))
    write_zip(path, ((f"landscapes/{n:05d}.jpg", jpeg(p)) for n, p in enumerate(pictures)))


def write_coco(path: Path, images: int, size: int) -> None:
    """coco.zip: annotations of train2017 with five captions each, and its pictures."""
    files = [f"{n + 1:012d}.jpg" for n in range(images)]
    listed = [{"file_name": file, "height": size, "width": size + 20, "id": n} for n, file in enumerate(files)]
    captions = [
        {"image_id": n, "id": 5 * n + k, "caption": f"A {dish} on a table, seen from side {k}."}
        for n in range(images)
        for k, dish in enumerate(_DISHES[:5])
    ]
    content = {"info": {"description": "rehearsal"}, "licenses": [], "images": listed, "annotations": captions}
    pictures = ((f"train2017/{f}", jpeg(picture(size, size + 20, "coco", f))) for f in files)
    write_zip(path, [("annotations/captions_train2017.json", json.dumps(content).encode()), *pictures])


def write_recipes(folder: Path, images: int, size: int) -> None:
    """The csv of recipes beside "Food Images", with the rows without title or image name that the official one has."""
    count, text = 2 * images, io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("", "Title", "Ingredients", "Instructions", "Image_Name", "Cleaned_Ingredients"))
    for number in range(count):
        kind, of = _DISHES[number % 10], _OF[(number + number // 10) % 10]
        name, parts = f"{of}-{kind}-{number}", f"['1 {of}', 'salt']"
        writer.writerow((number, f"{of.title()} {kind.title()} No. {number}", parts, "Cook it.", name, parts))
        write_bytes(folder / "Food Images" / f"{name}.jpg", jpeg(picture(169, 274, "recipe", number)))
    writer.writerow((count, "", "['salt']", "Cook it.", "without-a-title", "['salt']"))
    writer.writerow((count + 1, "Pickled Gherkins", "['salt']", "Cook it.", "#NAME?", "['salt']"))
    table = "Food Ingredients and Recipe Dataset with Image Name Mapping.csv"
    write_bytes(folder / table, text.getvalue().encode())


def write_subjects(path: Path, images: int, size: int) -> None:
    """subjects.zip: a folder of six pictures for each of DreamBooth's subjects that the profiles name."""
    names = ("dog", "dog6", "cat", "cat2", "rc_car", "backpack_dog")
    pictures = ((f"{name}/{n:02d}.jpg", jpeg(picture(size, size, name, n))) for name in names for n in range(6))
    write_zip(path, pictures)


def write_classifier(path: Path, images: int, size: int) -> None:
    """Weights of a ResNet-20 that has learnt nothing."""
    import torch
    from safetensors.torch import save_file

    from difflab.ddpm.classifier import ResNet20

    torch.manual_seed(0)
    with atomic_path(path) as temporary:
        save_file(ResNet20(CIFAR10).state_dict(), temporary)


WRITERS: dict[str, Callable[[Path, int, int], None]] = {
    "celeba_hq": write_celeba_hq,
    "celeba": write_celeba,
    "cifar10": write_cifar10,
    "mnist": write_mnist,
    "scenes": write_scenes,
    "coco": write_coco,
    "recipes": write_recipes,
    "subjects": write_subjects,
}


def write(root: Path, paths: dict[str, str], images: int, size: int) -> Iterable[str]:
    """Write the archives that are not in a data root yet; yields their names.

    Args:
        paths: where each archive of `WRITERS` goes; other names are files of weights of a classifier.
        images: how many pictures COCO has; the others have a few times as many.
        size: side of the faces in pixels.
    """
    for name, path in paths.items():
        if not (root / path).exists():
            yield name
            writer = WRITERS.get(name, write_classifier)
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            if name in ("mnist", "recipes"):
                with atomic_path(root / path) as temporary:
                    writer(temporary, images, size)
            else:
                writer(root / path, images, size)

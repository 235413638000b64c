"""Prepared image sets as image folders, for people and for other tools."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path
from difflab.core.base.store.captions import read_captions
from difflab.core.base.store.image_store import ImageStore
from difflab.images.sets.formats import image_folder
from difflab.images.sets.image_sets import DATASETS, SPLITS


def export(dataset: str, folder: Path, root: Path = Path("data/images")) -> int:
    """Write a prepared set as `folder`/train and `folder`/test, each with images and a metadata.jsonl.

    The texts are the captions, or the name of the class, or empty where a set has neither. Returns the number of images.

    Raises:
        DifflabError: there is no such set, it is not prepared, or the folder is not empty.
    """
    if dataset not in DATASETS:
        raise DifflabError(f"there is no image set '{dataset}', only {', '.join(DATASETS)}")
    if folder.exists() and not folder.is_dir():
        raise DifflabError(f"{folder} is a file: name a folder that is empty, or a new one")
    if folder.exists() and any(folder.iterdir()):
        raise DifflabError(f"{folder} is not empty: name a folder that is, or a new one")
    store = ImageStore(root / dataset)
    texts: dict[str, Sequence[str]] = {}
    if (captions := store.folder / "captions.parquet").exists():
        texts = read_captions(captions).groupby("id")["caption"].agg(list).to_dict()
    elif not store.attributes.columns.empty:
        texts = {id: [name] for id, name in store.attributes.idxmax(axis=1).items()}

    def images(ids: list[str]) -> Iterator[tuple[str, bytes, Sequence[str]]]:
        for start in range(0, len(ids), 1000):
            chunk = ids[start : start + 1000]
            for id, content in zip(chunk, store.read_bytes(chunk), strict=True):
                yield f"{id}.png", content, texts.get(id, ())

    with atomic_path(folder) as temporary:
        splits = {split: ids for split in SPLITS if (ids := store.split(split))}
        return sum(image_folder.write(temporary / split, images(ids)) for split, ids in splits.items())

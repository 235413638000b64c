"""The class of an image is the one attribute that is true of it."""

from pathlib import Path

import pandas as pd
import pytest

from difflab.core.base.errors import DifflabError
from difflab.ddpm.data.labels import class_names
from difflab.images.store.image_store import ImageStore
from difflab.images.store_writer import Sample, write_store
from fakes.set_archives import encoded

IDS = [f"cifar10-train-{n:05d}" for n in range(4)]


def store(folder: Path, **classes: list[bool]) -> ImageStore:
    columns = {"file": "", "split": "train", **classes}
    samples = [Sample(id, "", encoded(8, 8, seed=n), 8, 8) for n, id in enumerate(IDS)]
    write_store(folder, samples, pd.DataFrame(columns, index=pd.Index(IDS, name="id")), keep_absent=True)
    return ImageStore(folder)


def test_each_id_has_its_class_in_the_order_asked_for(tmp_path):
    images = store(tmp_path, cat=[True, False, False, True], ship=[False, True, True, False])
    assert class_names(images, IDS) == ["cat", "ship", "ship", "cat"]
    assert class_names(images, [IDS[2], IDS[0], IDS[2]]) == ["ship", "cat", "ship"]
    assert class_names(images, []) == []


def test_images_without_classes_are_refused(tmp_path):
    with pytest.raises(DifflabError, match=r"the images of .* have no classes: choose another data set"):
        class_names(store(tmp_path), IDS)


@pytest.mark.parametrize("last", [(True, True), (False, False)])
def test_an_image_of_several_classes_or_of_none_is_named(tmp_path, last):
    images = store(tmp_path, cat=[True, False, True, last[0]], ship=[False, True, False, last[1]])
    with pytest.raises(DifflabError, match=f"image '{IDS[3]}' of .* has not exactly one class"):
        class_names(images, IDS)
    assert class_names(images, IDS[:3]) == ["cat", "ship", "cat"]

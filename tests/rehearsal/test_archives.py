"""The archives are in the official formats: the readers of the study take them."""

import pytest

from difflab.datasets import data_set_of
from difflab.images.archives.acquire import OFFICIAL, check_layout
from difflab.images.archives.opening import open_archive
from difflab.images.facts.celeba_facts import CELEBA
from difflab.images.sets.formats import cifar10, coco, mnist, recipes
from difflab.rehearsal import archives
from rehearsal.conftest import IMAGES, SIZE


def path_of(root, name):
    (path,) = root.glob("cifar-10-binary*" if name == "cifar10" else f"{name}*" if name != "celeba" else "celeba.zip")
    return path


@pytest.mark.parametrize("name", archives.WRITERS)
def test_an_archive_has_the_official_layout(root_of_archives, name):
    assert name in OFFICIAL
    check_layout(name, path_of(root_of_archives, name))


def test_pictures_differ_and_are_the_same_in_every_rehearsal():
    first, again, other = (archives.picture(20, 30, "x", n) for n in (1, 1, 2))
    assert first.shape == (20, 30, 3)
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("module", [cifar10, mnist, coco, recipes], ids=lambda m: m.__name__.rpartition(".")[2])
def test_the_reader_of_a_set_finds_its_pictures(root_of_archives, module):
    read = module.read(open_archive(path_of(root_of_archives, module.__name__.rpartition(".")[2])))
    splits = read[1] if module is cifar10 else read
    assert sum(map(len, splits.values())) >= (2 if module in (cifar10, mnist) else IMAGES)


def test_the_recipes_have_the_rows_that_the_official_csv_has(root_of_archives):
    dropped: dict[str, int] = {}
    read = recipes.read(open_archive(root_of_archives / "recipes"), dropped)
    assert dropped == {"untitled": 1, "unnamed": 1}
    titles = [row.captions[0] for row in read["train"]]
    assert len(set(titles)) == len(titles) == 2 * IMAGES


def test_an_archive_is_written_once(tmp_path):
    assert list(archives.write(tmp_path, {"coco": "coco.zip"}, 8, SIZE)) == ["coco"]
    assert list(archives.write(tmp_path, {"coco": "coco.zip"}, 8, SIZE)) == []


def test_the_attributes_are_those_of_celeba():
    assert len(archives.ATTRIBUTES) == 40
    assert data_set_of(archives.ATTRIBUTES) is CELEBA

"""Acquiring image sets: pointed to in the data root, downloaded, or built; errors say what to do by hand."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, sha256_file
from difflab.images.acquire.sets import OFFICIAL, acquire
from difflab.images.archives.opening import open_source
from difflab.images.sets.image_sets import DATASETS
from fakes.face_archives import write_members
from fakes.set_archives import (
    cifar10_members,
    coco_members,
    data_params,
    encoded,
    mnist_members,
    recipe_members,
    write_folder,
    write_tar,
)

MAKE = {
    "cifar10": lambda path: write_tar(path.with_suffix(".tar.gz"), cifar10_members()),
    "mnist": lambda path: write_folder(path, mnist_members()),
    "scenes": lambda path: write_members(path.with_suffix(".zip"), {"a/1.JPG": encoded(8, 8, form="JPEG")}),
    "coco": lambda path: write_members(path.with_suffix(".zip"), coco_members({1: ["A."]})),
    "recipes": lambda path: write_members(path.with_suffix(".zip"), recipe_members({"egg": "Egg"})),
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    folder = tmp_path / "root"
    folder.mkdir()
    monkeypatch.setenv("DIFFLAB_DATA", str(folder))
    return folder


def test_every_set_can_be_acquired():
    assert tuple(OFFICIAL) == DATASETS == tuple(MAKE)


@pytest.mark.parametrize("dataset", DATASETS)
def test_an_archive_of_the_data_root_stays_there(tmp_path, root, dataset):
    place = MAKE[dataset](root / "set")
    settings = data_params(source="data_root", path=place.name)
    said = acquire(dataset, tmp_path / "raw", settings, 0, tmp_path)
    assert said == f"{dataset} from data_root ({place.name})"
    assert [file.name for file in (tmp_path / "raw").iterdir()] == ["source.json"]
    source = read_json(tmp_path / "raw" / "source.json")
    assert list(source) == ["source", "file", "size", "sha256"]
    assert str(tmp_path) not in str(source)
    assert list(open_source(tmp_path / "raw", None).names())


def test_an_unpacked_folder_is_taken_when_the_archive_is_not_there(tmp_path, root):
    write_folder(root / "cifar-10-binary", cifar10_members())
    settings = data_params(source="data_root", path="cifar-10-binary.tar.gz")
    acquire("cifar10", tmp_path / "raw", settings, 0, tmp_path)
    assert open_source(tmp_path / "raw", None).locate("test_batch.bin") == "cifar-10-batches-bin/"


@pytest.mark.parametrize(
    ("dataset", "todo"),
    [
        ("cifar10", "the binary version, from https://www.cs.toronto.edu"),
        ("mnist", r"t10k-labels-idx1-ubyte\.gz from"),
        ("scenes", "pack photographs"),
        ("coco", r"annotations_trainval2017\.zip and train2017\.zip"),
        ("recipes", r"Kaggle account from https://www\.kaggle\.com/.*, unpack it and put it there"),
    ],
)
def test_a_missing_archive_says_where_and_what_to_do(tmp_path, root, dataset, todo):
    with pytest.raises(DifflabError, match=todo) as error:
        acquire(dataset, tmp_path / "raw", data_params(source="data_root"), 0, tmp_path)
    assert f"{root / 'set'} is missing" in str(error.value)
    assert f"or set data.{dataset}.path" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize("dataset", DATASETS)
def test_another_archive_is_refused(tmp_path, root, dataset):
    write_members(root / "set", {"readme.txt": "?"})
    with pytest.raises(DifflabError, match=f"does not hold {dataset}: "):
        acquire(dataset, tmp_path / "raw", data_params(source="data_root"), 0, tmp_path)


def test_another_content_than_the_expected_is_refused(tmp_path, root):
    MAKE["mnist"](root / "set")
    with pytest.raises(DifflabError, match="another archive"):
        acquire("mnist", tmp_path / "raw", data_params(source="data_root", sha256="0" * 64), 0, tmp_path)
    assert not (tmp_path / "raw").exists()


def test_a_truncated_archive_is_refused_before_anything_is_prepared(tmp_path, root):
    place = MAKE["cifar10"](root / "set")
    place.write_bytes(place.read_bytes()[:-100])
    with pytest.raises(DifflabError, match="truncated"):
        acquire("cifar10", tmp_path / "raw", data_params(source="data_root", path=place.name), 0, tmp_path)


def test_without_an_address_a_download_says_what_to_do(tmp_path):
    with pytest.raises(DifflabError, match=r"mnist has no address: fetch .* data\.mnist\.source=data_root"):
        acquire("mnist", tmp_path / "raw", data_params(source="download"), 0, tmp_path)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Nothing."""


def test_a_download_is_checked_and_kept(tmp_path):
    place = MAKE["cifar10"](tmp_path / "official")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/{place.name}"
        for sha256 in (sha256_file(place), None):
            settings = data_params(source="download", url=url, sha256=sha256)
            acquire("cifar10", tmp_path / "raw", settings, 0, tmp_path / "scratch")
            assert (tmp_path / "raw" / place.name).read_bytes() == place.read_bytes()
        settings = data_params(source="download", url=url, sha256="0" * 64)
        with pytest.raises(DifflabError, match="has sha256"):
            acquire("cifar10", tmp_path / "raw", settings, 0, tmp_path / "scratch")
    finally:
        server.shutdown()
        server.server_close()


def test_the_miniature_lies_beside_its_source(tmp_path):
    for dataset, name in (
        ("mnist", "mnist"),
        ("coco", "coco.zip"),
        ("recipes", "food-ingredients-and-recipe-dataset-with-images.zip"),
    ):
        acquire(dataset, tmp_path / dataset, data_params(), 0, tmp_path)
        assert sorted(file.name for file in (tmp_path / dataset).iterdir()) == sorted([name, "source.json"])
        assert list(open_source(tmp_path / dataset, None).names())


def test_a_changed_or_absent_source_says_which_stage_to_run(tmp_path, root):
    place = MAKE["scenes"](root / "set")
    with pytest.raises(DifflabError, match="is missing: run `dvc repro acquire_images`"):
        open_source(tmp_path / "raw", None)
    acquire("scenes", tmp_path / "raw", data_params(source="data_root", path=place.name), 0, tmp_path)
    write_members(place, {"a.jpg": encoded(8, 8, seed=2)})
    with pytest.raises(DifflabError, match=r"has changed .*dvc repro -f acquire_images"):
        open_source(tmp_path / "raw", None)
    place.unlink()
    with pytest.raises(DifflabError, match="is missing: put it back"):
        open_source(tmp_path / "raw", None)


def test_the_real_archives(tmp_path, data_root, monkeypatch):
    monkeypatch.setenv("DIFFLAB_DATA", str(data_root))
    paths = {
        "mnist": "mnist",
        "scenes": "landscapes/landscapes.zip",
        "coco": "coco/coco.zip",
        "recipes": "recipes",
    }
    for dataset, path in paths.items():
        acquire(dataset, tmp_path / dataset, data_params(source="data_root", path=path), 0, tmp_path)
        assert list(open_source(tmp_path / dataset, None).names())

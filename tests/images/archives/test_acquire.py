"""Acquiring archives: pointed to in the data root, downloaded, or built; errors say what to do by hand."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from stages.images import acquire as faces
from stages.images import acquire_images

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, sha256_file
from difflab.images.archives.acquire import OFFICIAL, acquire
from difflab.images.archives.opening import open_source
from difflab.images.params import ArchiveParams, DataParams
from difflab.images.sets.image_sets import DATASETS
from difflab.miniature.data.bundled import hq_images
from fakes.face_archives import celeba_hq_members, celeba_members, write_members
from fakes.set_archives import (
    cifar10_members,
    coco_members,
    encoded,
    mnist_members,
    recipe_members,
    write_folder,
    write_tar,
)

BUILDERS = faces.BUILDERS | acquire_images.BUILDERS
MAKE = {
    "celeba_hq": lambda path: write_members(path.with_suffix(".zip"), celeba_hq_members({}, 3)),
    "celeba": lambda path: write_members(path.with_suffix(".zip"), celeba_members({}, 3, {})),
    "cifar10": lambda path: write_tar(path.with_suffix(".tar.gz"), cifar10_members()),
    "mnist": lambda path: write_folder(path, mnist_members()),
    "scenes": lambda path: write_members(path.with_suffix(".zip"), {"a/1.JPG": encoded(8, 8, form="JPEG")}),
    "coco": lambda path: write_members(path.with_suffix(".zip"), coco_members({1: ["A."]})),
    "recipes": lambda path: write_members(path.with_suffix(".zip"), recipe_members({"egg": "Egg"})),
    "subjects": lambda path: write_members(path.with_suffix(".zip"), {"dog/1.jpg": encoded(8, 8, form="JPEG")}),
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    folder = tmp_path / "root"
    folder.mkdir()
    monkeypatch.setenv("DIFFLAB_DATA", str(folder))
    return folder


def settings(**changes) -> ArchiveParams:
    return ArchiveParams(**dict(source="data_root", path="set", url=None, sha256=None) | changes)


def get(name, tmp_path, build=None, **changes) -> str:
    return acquire(name, tmp_path / "raw" / name, settings(**changes), None, build, tmp_path / "scratch")


def test_every_archive_can_be_acquired():
    archives = [name for name, field in DataParams.model_fields.items() if field.annotation is ArchiveParams]
    assert set(OFFICIAL) == set(MAKE) == set(BUILDERS) == set(archives)
    assert set(DATASETS) == set(archives) - {"celeba_hq", "celeba", "subjects"}


@pytest.mark.parametrize("name", OFFICIAL)
def test_an_archive_of_the_data_root_stays_there(tmp_path, root, name):
    place = MAKE[name](root / "set")
    assert get(name, tmp_path, path=place.name) == f"{name} from data_root ({place.name})"
    raw = tmp_path / "raw" / name
    assert [file.name for file in raw.iterdir()] == ["source.json"]
    source = read_json(raw / "source.json")
    assert list(source) == ["source", "file", "size", "sha256"]
    assert str(tmp_path) not in str(source)
    assert list(open_source(raw, None).names())


@pytest.mark.parametrize(
    ("name", "path", "folder", "members", "member"),
    [
        ("cifar10", "a/b.tar.gz", "a/b", cifar10_members(), "cifar-10-batches-bin/test_batch.bin"),
        ("celeba_hq", "a/CelebAMask-HQ.zip", "a", celeba_hq_members({}, 3), "CelebAMask-HQ-attribute-anno.txt"),
    ],
)
def test_an_unpacked_folder_is_taken_when_the_archive_is_not_there(tmp_path, root, name, path, folder, members, member):
    write_folder(root / folder, members)
    get(name, tmp_path, path=path)
    assert open_source(tmp_path / "raw" / name, None).has(member)


@pytest.mark.parametrize(
    ("name", "todo"),
    [
        ("celeba_hq", "accept the terms of CelebAMask-HQ"),
        ("celeba", r"img_celeba\.7z"),
        ("cifar10", "the binary version, from https://www.cs.toronto.edu"),
        ("mnist", r"t10k-labels-idx1-ubyte\.gz from"),
        ("scenes", "pack photographs"),
        ("coco", r"annotations_trainval2017\.zip and train2017\.zip"),
        ("recipes", r"Kaggle account from https://www\.kaggle\.com/.*, unpack it and put it there"),
    ],
)
def test_a_missing_archive_says_where_and_what_to_do(tmp_path, root, name, todo):
    with pytest.raises(DifflabError, match=todo) as error:
        get(name, tmp_path)
    assert f"{root / 'set'} is missing" in str(error.value)
    assert f"or set data.{name}.path" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "raw" / name).exists()


def test_a_data_root_of_nobody_is_named(tmp_path, root, monkeypatch):
    monkeypatch.setenv("DIFFLAB_DATA", "~nouser/data")
    with pytest.raises(DifflabError, match="DIFFLAB_DATA is '~nouser/data', which is not a folder"):
        get("mnist", tmp_path)


@pytest.mark.parametrize("name", OFFICIAL)
def test_another_archive_is_refused(tmp_path, root, name):
    write_members(root / "set", {"readme.txt": "?"})
    with pytest.raises(DifflabError, match=f"does not hold {name}: "):
        get(name, tmp_path)


def test_another_content_than_the_expected_is_refused(tmp_path, root):
    MAKE["mnist"](root / "set")
    with pytest.raises(DifflabError, match="another archive"):
        get("mnist", tmp_path, sha256="0" * 64)
    assert not (tmp_path / "raw" / "mnist").exists()


def test_a_truncated_archive_is_refused_before_anything_is_prepared(tmp_path, root):
    place = MAKE["cifar10"](root / "set")
    place.write_bytes(place.read_bytes()[:-100])
    with pytest.raises(DifflabError, match="truncated"):
        get("cifar10", tmp_path, path=place.name)


@pytest.mark.parametrize(("name", "todo"), [("mnist", "fetch"), ("celeba", "accept the agreement")])
def test_without_an_address_a_download_says_what_to_do(tmp_path, name, todo):
    with pytest.raises(DifflabError, match=rf"data\.{name}\.url is not set: {todo} .* data\.{name}\.source=data_root"):
        get(name, tmp_path, source="download")


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
            get("cifar10", tmp_path, source="download", url=url, sha256=sha256)
            assert (tmp_path / "raw" / "cifar10" / place.name).read_bytes() == place.read_bytes()
        with pytest.raises(DifflabError, match="has sha256"):
            get("cifar10", tmp_path, source="download", url=url, sha256="0" * 64)
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("name", ["mnist", "coco", "recipes"])
def test_the_miniature_lies_beside_its_source(tmp_path, name):
    get(name, tmp_path, partial(BUILDERS[name], seed=0), source="bundled")
    raw = tmp_path / "raw" / name
    assert sorted(file.name for file in raw.iterdir()) == sorted([OFFICIAL[name].file, "source.json"])
    assert list(open_source(raw, None).names())


@pytest.mark.parametrize("name", ["celeba_hq", "celeba"])
def test_the_miniature_of_celeba_is_the_same_bytes_for_a_seed(tmp_path, name):
    hashes = []
    for seed in (0, 0, 1):
        hq_images.cache_clear()
        BUILDERS[name](tmp_path / "a.zip", seed)
        hashes.append(sha256_file(tmp_path / "a.zip"))
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_real_archives(tmp_path, data_root, monkeypatch):
    monkeypatch.setenv("DIFFLAB_DATA", str(data_root))
    paths = {"mnist": "mnist", "scenes": "landscapes/landscapes.zip", "coco": "coco/coco.zip", "recipes": "recipes"}
    for name, path in paths.items():
        get(name, tmp_path, path=path)
        assert list(open_source(tmp_path / "raw" / name, None).names())

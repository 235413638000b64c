"""Acquiring: the data root is only pointed to, the miniature is always the same, errors say what to do."""

import pytest

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_file
from difflab.images.acquire.faces import acquire
from difflab.images.archives.archive import open_source
from difflab.images.params import DataParams
from difflab.miniature.bundled import hq_images
from fakes.face_archives import celeba_hq_members, write_members


def data_params(**changes) -> DataParams:
    archive = dict(source="bundled", path="celeba/CelebAMask-HQ.zip", url=None, sha256=None) | changes
    archives = dict.fromkeys(DataParams.model_fields, archive) | {"data_root": None}
    return DataParams.model_validate(archives)


@pytest.fixture
def root(tmp_path, monkeypatch):
    folder = tmp_path / "root" / "celeba"
    folder.mkdir(parents=True)
    monkeypatch.setenv("DIFFLAB_DATA", str(folder.parent))
    return folder


def test_an_archive_of_the_data_root_stays_there(tmp_path, root):
    write_members(root / "CelebAMask-HQ.zip", celeba_hq_members({}, 3))
    acquire("celeba_hq", tmp_path / "raw", data_params(source="data_root"), 0, tmp_path)
    assert [file.name for file in (tmp_path / "raw").iterdir()] == ["source.json"]
    assert open_source(tmp_path / "raw", None).locate("CelebAMask-HQ-attribute-anno.txt") == "CelebAMask-HQ/"


def test_its_unpacked_folder_is_taken_when_the_archive_is_not_there(tmp_path, root):
    for name, content in celeba_hq_members({}, 3).items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(content)
    acquire("celeba_hq", tmp_path / "raw", data_params(source="data_root"), 0, tmp_path)
    assert open_source(tmp_path / "raw", None).locate("CelebAMask-HQ-attribute-anno.txt") == ""


@pytest.mark.parametrize(
    ("role", "todo"), [("celeba_hq", "accept the terms of CelebAMask-HQ"), ("celeba", "img_celeba.7z")]
)
def test_a_missing_archive_says_where_and_what_to_do(tmp_path, root, role, todo):
    with pytest.raises(DifflabError, match=todo) as error:
        acquire(role, tmp_path / "raw", data_params(source="data_root"), 0, tmp_path)
    assert str(root / "CelebAMask-HQ.zip") in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "raw").exists()


def test_another_archive_is_refused(tmp_path, root):
    path = write_members(root / "CelebAMask-HQ.zip", {"readme.txt": "?"})
    with pytest.raises(DifflabError, match="is it the official archive"):
        acquire("celeba_hq", tmp_path / "raw", data_params(source="data_root"), 0, tmp_path)
    write_members(path, celeba_hq_members({}, 3))
    with pytest.raises(DifflabError, match="another archive"):
        acquire("celeba_hq", tmp_path / "raw", data_params(source="data_root", sha256="0" * 64), 0, tmp_path)
    assert not (tmp_path / "raw").exists()


def test_a_licence_that_a_person_must_accept_is_said(tmp_path):
    with pytest.raises(DifflabError, match=r"cannot be fetched for you: accept the agreement"):
        acquire("celeba", tmp_path / "raw", data_params(source="download"), 0, tmp_path)


def test_the_miniature_is_the_same_bytes_for_a_seed(tmp_path):
    hashes = {}
    for seed, folder in ((0, "a"), (0, "b"), (1, "c")):
        hq_images.cache_clear()
        for role in ("celeba_hq", "celeba"):
            acquire(role, tmp_path / folder / role, data_params(), seed, tmp_path)
        hashes[folder] = sha256_file(tmp_path / folder)
    assert hashes["a"] == hashes["b"]
    assert hashes["a"] != hashes["c"]

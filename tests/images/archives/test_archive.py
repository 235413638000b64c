"""Archives: a zip and its unpacked folder read alike, and nothing leads out."""

import zipfile

import pytest

from difflab.core.base.errors import DifflabError
from difflab.images.archives.opening import open_archive
from fakes.face_archives import write_members

MEMBERS = {"Top/Anno/list.txt": "hello", "Top/Img/1.jpg": b"\x01", "__MACOSX/Top/Anno/list.txt": "resource fork"}


@pytest.fixture(params=["zip", "folder"])
def archive(request, tmp_path):
    path = write_members(tmp_path / "a.zip", MEMBERS)
    if request.param == "folder":
        with zipfile.ZipFile(path) as content:
            content.extractall(tmp_path / "a")
        path = tmp_path / "a"
    return open_archive(path)


def test_members_are_found_and_read(archive):
    base = archive.locate("Anno/list.txt")
    assert base == "Top/"
    assert archive.read(base + "Anno/list.txt") == b"hello"
    assert archive.has(base + "Img/1.jpg")
    assert not archive.has(base + "Img/2.jpg")
    assert sorted(archive.names()) == sorted(MEMBERS)


def test_an_absent_member_is_named(archive):
    with pytest.raises(DifflabError, match=r"has no Top/Img/2\.jpg"):
        archive.read("Top/Img/2.jpg")
    with pytest.raises(DifflabError, match=r"has no mapping\.txt"):
        archive.locate("mapping.txt")


def test_a_folder_may_be_the_top_folder_itself(tmp_path):
    (tmp_path / "Top" / "Anno").mkdir(parents=True)
    (tmp_path / "Top" / "Anno" / "list.txt").write_text("hello")
    assert open_archive(tmp_path / "Top").locate("Anno/list.txt") == ""
    assert open_archive(tmp_path).locate("Anno/list.txt") == "Top/"


def test_two_copies_are_ambiguous(tmp_path):
    path = write_members(tmp_path / "a.zip", {"a/list.txt": "1", "b/list.txt": "2"})
    with pytest.raises(DifflabError, match=r"has 2 files list\.txt"):
        open_archive(path).locate("list.txt")


@pytest.mark.parametrize("name", ["../secret", "Img/../../secret", "/etc/hostname"])
def test_names_that_lead_out_of_a_folder_are_refused(tmp_path, name):
    (tmp_path / "secret").write_text("no")
    (tmp_path / "a").mkdir()
    with pytest.raises(DifflabError, match="leads out"):
        open_archive(tmp_path / "a").has(name)

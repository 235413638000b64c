"""Archives: a zip and its unpacked folder read alike, nothing leads out, a changed archive is refused."""

import zipfile

import pytest

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json
from difflab.images.archives import archive as archives
from fakes.face_archives import write_members

MEMBERS = {
    "Top/Anno/list.txt": "hello",
    "Top/Img/1.jpg": b"\x01",
    "__MACOSX/Top/Anno/list.txt": "resource fork",
}


@pytest.fixture(params=["zip", "folder"])
def archive(request, tmp_path):
    path = write_members(tmp_path / "a.zip", MEMBERS)
    if request.param == "folder":
        with zipfile.ZipFile(path) as content:
            content.extractall(tmp_path / "a")
        path = tmp_path / "a"
    return archives.open_archive(path)


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
    assert archives.open_archive(tmp_path / "Top").locate("Anno/list.txt") == ""
    assert archives.open_archive(tmp_path).locate("Anno/list.txt") == "Top/"


def test_two_copies_are_ambiguous(tmp_path):
    path = write_members(tmp_path / "a.zip", {"a/list.txt": "1", "b/list.txt": "2"})
    with pytest.raises(DifflabError, match=r"has 2 files list\.txt"):
        archives.open_archive(path).locate("list.txt")


@pytest.mark.parametrize("name", ["../secret", "Img/../../secret", "/etc/hostname"])
def test_names_that_lead_out_of_a_folder_are_refused(tmp_path, name):
    (tmp_path / "secret").write_text("no")
    (tmp_path / "a").mkdir()
    with pytest.raises(DifflabError, match="leads out"):
        archives.open_archive(tmp_path / "a").has(name)


def test_another_file_is_not_an_archive(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"<html>quota exceeded</html>")
    with pytest.raises(DifflabError, match=r"neither a folder nor a zip.*fetch it again"):
        archives.open_archive(tmp_path / "a.zip")


def test_the_environment_wins_over_the_parameter(tmp_path, monkeypatch):
    (tmp_path / "env").mkdir()
    (tmp_path / "param").mkdir()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("DIFFLAB_DATA", raising=False)
    assert archives.data_root("param") == tmp_path / "param"
    monkeypatch.setenv("DIFFLAB_DATA", str(tmp_path / "env"))
    assert archives.data_root("param") == tmp_path / "env"
    monkeypatch.setenv("DIFFLAB_DATA", str(tmp_path / "none"))
    with pytest.raises(DifflabError, match=r"DIFFLAB_DATA is .* not a folder"):
        archives.data_root("param")


def test_without_any_root_the_error_says_what_to_set(monkeypatch):
    monkeypatch.delenv("DIFFLAB_DATA", raising=False)
    with pytest.raises(DifflabError, match=r"set data\.data_root"):
        archives.data_root(None)


@pytest.mark.parametrize("source", ["bundled", "data_root"])
def test_a_source_is_opened_where_it_lies_and_refused_when_changed(tmp_path, monkeypatch, source):
    monkeypatch.setenv("DIFFLAB_DATA", str(tmp_path / "root"))
    (tmp_path / "raw").mkdir()
    (tmp_path / "root").mkdir()
    place = tmp_path / ("raw" if source == "bundled" else "root") / "a.zip"
    write_members(place, MEMBERS)
    archives.write_source(tmp_path / "raw", source, "a.zip", place)
    written = read_json(tmp_path / "raw" / "source.json")
    assert list(written) == ["source", "file", "size", "sha256"]
    assert str(tmp_path) not in str(written)
    assert archives.open_source(tmp_path / "raw", None).has("Top/Img/1.jpg")

    write_members(place, MEMBERS | {"Top/Img/1.jpg": b"\x02"})
    with pytest.raises(DifflabError, match="has changed"):
        archives.open_source(tmp_path / "raw", None)
    place.unlink()
    with pytest.raises(DifflabError, match="is missing"):
        archives.open_source(tmp_path / "raw", None)


def test_without_a_source_the_error_says_which_stage_makes_it(tmp_path):
    with pytest.raises(DifflabError, match=r"source\.json is missing: run `dvc repro acquire`"):
        archives.open_source(tmp_path, None)

"""Archives: a zip, a tar.gz and an unpacked folder read alike; what is damaged, changed or leads out is refused."""

import io
import tarfile
import zipfile

import pytest

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json
from difflab.images.archives.opening import open_archive, open_source, write_source
from fakes.face_archives import write_members
from fakes.set_archives import pixels, write_tar

MEMBERS = {"Top/Anno/list.txt": "hello", "Top/Img/1.jpg": b"\x01"}
PACKED = {"./Top/a.bin": pixels(5000).tobytes(), "Top/names.txt": b"one\n"}


@pytest.fixture(params=["zip", "folder"])
def archive(request, tmp_path):
    path = write_members(tmp_path / "a.zip", MEMBERS | {"__MACOSX/Top/Anno/list.txt": "resource fork"})
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
    (tmp_path / "Top" / "other.txt").symlink_to("Anno/list.txt")
    (tmp_path / "Top" / "broken.txt").symlink_to("absent")
    assert list(open_archive(tmp_path / "Top").names()) == ["Anno/list.txt", "other.txt"]
    assert open_archive(tmp_path / "Top").locate("Anno/list.txt") == ""
    assert open_archive(tmp_path).locate("Anno/list.txt") == "Top/"


def test_two_copies_are_ambiguous(tmp_path):
    path = write_members(tmp_path / "a.zip", {"a/list.txt": "1", "b/list.txt": "2"})
    with pytest.raises(DifflabError, match=r"has 2 files list\.txt"):
        open_archive(path).locate("list.txt")


@pytest.mark.parametrize("name", ["../secret", "Img/../../secret", "/etc/hostname"])
def test_names_that_lead_out_of_a_folder_are_not_read(tmp_path, name):
    (tmp_path / "secret").write_text("no")
    (tmp_path / "a" / "Img").mkdir(parents=True)
    archive = open_archive(tmp_path / "a")
    assert not archive.has(name)
    with pytest.raises(DifflabError, match=f"has no {name}"):
        archive.read(name)


def test_members_of_a_tar_are_read_in_any_order(tmp_path):
    archive = open_archive(write_tar(tmp_path / "a.tar.gz", PACKED))
    assert list(archive.names()) == ["Top/a.bin", "Top/names.txt"]
    assert archive.locate("names.txt") == "Top/"
    assert archive.read("Top/names.txt") == b"one\n"
    assert archive.read("Top/a.bin") == PACKED["./Top/a.bin"]
    assert not archive.has("Top/b.bin")
    with pytest.raises(DifflabError, match=r"has no Top/b\.bin"):
        archive.open("Top/b.bin")


@pytest.mark.parametrize("keep", [10, 2000, -300, -4])
def test_a_truncated_tar_is_one_line(tmp_path, keep):
    path = write_tar(tmp_path / "a.tar.gz", PACKED)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DifflabError, match=r"a\.tar\.gz is truncated, damaged .*fetch it again") as error:
        open_archive(path)
    assert "\n" not in str(error.value)


def test_another_file_under_the_name_of_a_tar_is_refused(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"<html>quota exceeded</html>")
    with pytest.raises(DifflabError, match=r"no tar\.gz archive .*fetch it again"):
        open_archive(tmp_path / "a.tar.gz")


def test_a_flipped_bit_is_noticed(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", PACKED)
    content = bytearray(path.read_bytes())
    content[2500] ^= 1
    path.write_bytes(content)
    with pytest.raises(DifflabError, match="damaged"):
        open_archive(path)


@pytest.mark.parametrize("name", ["../out.bin", "/etc/passwd", "Top/../../out.bin"])
def test_members_of_a_tar_that_lead_out_are_refused(tmp_path, name):
    with pytest.raises(DifflabError, match=r"leads out of it: refused"):
        open_archive(write_tar(tmp_path / "a.tar.gz", {name: b"x"}))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("Top/link")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info, io.BytesIO())
    with pytest.raises(DifflabError, match=r"'Top/link', which is no plain file: refused"):
        open_archive(tmp_path / "a.tar.gz")


def test_another_file_is_not_an_archive(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"<html>quota exceeded</html>")
    with pytest.raises(DifflabError, match=r"neither a folder nor a zip.*fetch it again"):
        open_archive(tmp_path / "a.zip")


@pytest.mark.parametrize("source", ["bundled", "data_root"])
def test_a_source_is_opened_where_it_lies_and_refused_when_changed(tmp_path, monkeypatch, source):
    monkeypatch.setenv("DIFFLAB_DATA", str(tmp_path / "root"))
    (tmp_path / "raw").mkdir()
    (tmp_path / "root").mkdir()
    place = tmp_path / ("raw" if source == "bundled" else "root") / "a.zip"
    write_members(place, MEMBERS)
    write_source(tmp_path / "raw", source, "a.zip", place)
    written = read_json(tmp_path / "raw" / "source.json")
    assert list(written) == ["source", "file", "size", "sha256"]
    assert str(tmp_path) not in str(written)
    assert open_source(tmp_path / "raw", None).has("Top/Img/1.jpg")

    write_members(place, MEMBERS | {"Top/Img/1.jpg": b"\x02"})
    with pytest.raises(DifflabError, match=r"has changed .*dvc repro -f acquire@raw`"):
        open_source(tmp_path / "raw", None)
    place.unlink()
    with pytest.raises(DifflabError, match="is missing: put it back"):
        open_source(tmp_path / "raw", None)


def test_without_a_source_the_error_says_which_stage_makes_it(tmp_path):
    with pytest.raises(DifflabError, match=r"source\.json is missing: run `dvc repro acquire@coco`"):
        open_source(tmp_path / "coco", None)

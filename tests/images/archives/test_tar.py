"""A tar.gz is read in place; what is damaged, or leads out of it, is refused when it is opened."""

import io
import tarfile

import pytest

from difflab.core.base.errors import DifflabError
from difflab.images.archives.opening import open_archive
from fakes.set_archives import pixels, write_tar

MEMBERS = {"./Top/a.bin": pixels(5000).tobytes(), "Top/names.txt": b"one\n"}


def test_members_are_found_and_read_in_any_order(tmp_path):
    archive = open_archive(write_tar(tmp_path / "a.tar.gz", MEMBERS))
    assert list(archive.names()) == ["Top/a.bin", "Top/names.txt"]
    assert archive.locate("names.txt") == "Top/"
    assert archive.read("Top/names.txt") == b"one\n"
    assert archive.read("Top/a.bin") == MEMBERS["./Top/a.bin"]
    assert not archive.has("Top/b.bin")
    with pytest.raises(DifflabError, match=r"has no Top/b\.bin"):
        archive.open("Top/b.bin")


@pytest.mark.parametrize("keep", [10, 2000, -300, -4])
def test_a_truncated_archive_is_one_line(tmp_path, keep):
    path = write_tar(tmp_path / "a.tar.gz", MEMBERS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DifflabError, match=r"a\.tar\.gz is truncated, damaged .*fetch it again") as error:
        open_archive(path)
    assert "\n" not in str(error.value)


def test_another_file_under_that_name_is_refused(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"<html>quota exceeded</html>")
    with pytest.raises(DifflabError, match=r"no tar\.gz archive .*fetch it again"):
        open_archive(tmp_path / "a.tar.gz")


def test_a_flipped_bit_is_noticed(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", MEMBERS)
    content = bytearray(path.read_bytes())
    content[2500] ^= 1
    path.write_bytes(content)
    with pytest.raises(DifflabError, match="damaged"):
        open_archive(path)


@pytest.mark.parametrize("name", ["../out.bin", "/etc/passwd", "Top/../../out.bin"])
def test_members_that_lead_out_are_refused(tmp_path, name):
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

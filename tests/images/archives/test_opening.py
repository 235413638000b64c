"""Archives: a zip, a tar.gz and an unpacked folder read alike; what is damaged, changed or leads out is refused."""

import io
import tarfile
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json
from difflab.images.archives.folder import sha256_listed
from difflab.images.archives.opening import open_archive, open_source, write_source
from fakes.face_archives import write_members
from fakes.set_archives import pixels, write_folder, write_tar

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
        archive.read("Top/b.bin")


@pytest.mark.parametrize("keep", [10, 2000, -300, -4])
def test_a_truncated_tar_is_one_line(tmp_path, keep):
    path = write_tar(tmp_path / "a.tar.gz", PACKED)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DifflabError, match=r"^unreadable: .*a\.tar\.gz \(.*\): fetch it again") as error:
        open_archive(path)
    assert "\n" not in str(error.value)


def test_another_file_under_the_name_of_a_tar_is_refused(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"<html>quota exceeded</html>")
    with pytest.raises(DifflabError, match=r"^unreadable: .*a\.tar\.gz \(.*\): fetch it again"):
        open_archive(tmp_path / "a.tar.gz")


def test_a_flipped_bit_is_noticed(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", PACKED)
    content = bytearray(path.read_bytes())
    content[2500] ^= 1
    path.write_bytes(content)
    with pytest.raises(DifflabError, match=r"^unreadable: .*a\.tar\.gz"):
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
    with pytest.raises(DifflabError, match=r"neither a folder nor a zip or tar.*fetch it again"):
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
    with pytest.raises(DifflabError, match=r"has changed .*dvc repro -f acquire_images`"):
        open_source(tmp_path / "raw", None)
    place.unlink()
    with pytest.raises(DifflabError, match="is missing: put it back"):
        open_source(tmp_path / "raw", None)


def test_without_a_source_the_error_says_which_stage_makes_it(tmp_path):
    with pytest.raises(DifflabError, match=r"source\.json is missing: run `dvc repro acquire_images`"):
        open_source(tmp_path / "coco", None)


def test_names_are_found_in_any_unicode_form_and_case(tmp_path):
    for path in (write_members(tmp_path / "a.zip", NAMES), write_folder(tmp_path / "a", NAMES)):
        archive = open_archive(path)
        assert archive.find("caf\u00e9.JPG") == "caf\u00e9.JPG"  # composed, as most systems write it
        assert archive.read("CAFE\u0301.jpg") == b"one"
        assert not archive.has("cafe.jpg")


NAMES = {"cafe\u0301.JPG": b"one"}  # decomposed, as macOS stores it


def test_two_files_that_a_name_may_mean_are_named(tmp_path):
    archive = open_archive(write_members(tmp_path / "a.zip", {"a.JPG": "1", "a.jpg": "2"}))
    assert archive.read("a.jpg") == b"2"
    with pytest.raises(DifflabError, match=r"has no A\.jpg, but a\.JPG and a\.jpg: keep one"):
        archive.has("A.jpg")


def test_links_of_a_folder_are_followed_and_those_that_lead_nowhere_named(tmp_path):
    write_folder(tmp_path / "out", {"far.txt": "far"})
    folder = write_folder(tmp_path / "a", {"sub/near.txt": "near"})
    (folder / "elsewhere").symlink_to(tmp_path / "out")
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "itself").symlink_to("itself")
    (folder / "gone.txt").symlink_to("absent")
    archive = open_archive(folder)
    assert list(archive.names()) == ["elsewhere/far.txt", "sub/near.txt"]
    assert archive.passed_over == {"link to nothing": ["gone.txt", "itself"], "link in a circle": ["sub/up"]}
    assert archive.count_passed_over() == 3
    assert archive.describe_passed_over()[0] == "a: passed over 2 (link to nothing): gone.txt, itself"


@pytest.mark.parametrize("change", ["out/far.txt", "a/near.txt"])
def test_what_is_read_is_hashed_and_nothing_else(tmp_path, change):
    write_folder(tmp_path / "out", {"far.txt": "far"})
    folder = write_folder(tmp_path / "a", {"near.txt": "near"})
    (folder / "elsewhere").symlink_to(tmp_path / "out")
    before = sha256_listed(folder)
    write_folder(folder, {".DS_Store": "x", "Thumbs.db": "x", "._near.txt": "x", "__MACOSX/a": "x"})
    assert sha256_listed(folder) == before
    (tmp_path / change).write_text("changed")
    assert sha256_listed(folder) != before


def test_backups_and_what_is_unfinished_are_neither_read_nor_hashed(tmp_path):
    folder = write_folder(tmp_path / "a", {"a.jpg": "1", "old~/b.jpg": "2"})
    before = sha256_listed(folder)
    left = [f"a.jpg{ending}" for ending in (".BAK", ".crdownload", ".orig", ".part", ".tmp", "~")]
    write_folder(folder, dict.fromkeys(left, "1"))
    packed = write_members(tmp_path / "a.zip", {"a.jpg": "1", "old~/b.jpg": "2", **dict.fromkeys(left, "1")})
    for archive in (open_archive(folder), open_archive(packed)):
        assert list(archive.names()) == ["a.jpg", "old~/b.jpg"]
        assert archive.passed_over == {"backup, or unfinished": left}
    assert sha256_listed(folder) == before


@given(
    st.dictionaries(st.from_regex(r"[a-c]{1,2}(/[a-c.]{1,3}){0,2}", fullmatch=True), st.binary(max_size=4), max_size=5)
)
def test_a_folder_and_its_zip_hold_the_same(tmp_path_factory, members):
    place = tmp_path_factory.mktemp("archive")
    names = {n: c for n, c in members.items() if not any(o != n and o.startswith(f"{n}/") for o in members)}
    names = {n: c for n, c in names.items() if not {"", ".", ".."} & set(n.split("/"))}
    folder = open_archive(write_folder(place, names) if names else place)
    packed = open_archive(write_members(place.parent / f"{place.name}.zip", names))
    assert set(folder.names()) == set(packed.names())
    assert all(folder.read(name) == packed.read(name) for name in packed.names())


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_the_content_says_how_an_archive_is_packed(tmp_path, mode):
    with tarfile.open(tmp_path / "a.zip", mode) as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    assert list(open_archive(tmp_path / "a.zip").names()) == ["a.txt"]


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        ((8, 10), 9, "is compressed by Deflate64"),
        ((8, 10), 98, "is compressed by method 98"),
        ((6, 8), 1, "is encrypted"),
    ],
)
def test_a_zip_that_cannot_be_unpacked_here_says_what_to_do(tmp_path, at, value, message):
    path = write_members(tmp_path / "a.zip", {"a.png": b"x"})
    raw = bytearray(path.read_bytes())
    for place, magic in zip(at, (b"PK\3\4", b"PK\1\2"), strict=True):
        start = raw.find(magic) + place
        raw[start : start + 2] = value.to_bytes(2, "little")
    path.write_bytes(raw)
    with pytest.raises(DifflabError, match=rf"^unreadable: .*a\.zip \(a\.png {message}\): unpack it"):
        open_archive(path)


def test_names_of_a_zip_may_be_unflagged_utf8_and_of_windows(tmp_path):
    path = write_members(tmp_path / "a.zip", {"xx/b.txt": b"1", "\u00e9.txt": b"2"})
    raw = path.read_bytes().replace(b"xx/b.txt", b"xx\\b.txt")
    flagged = bytearray(raw)
    for magic, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = -1
        while (start := flagged.find(magic, start + 1)) >= 0:
            flagged[start + place : start + place + 2] = b"\0\0"
    path.write_bytes(flagged)
    assert set(open_archive(path).names()) == {"xx/b.txt", "\u00e9.txt"}


def test_a_damaged_member_is_named(tmp_path):
    path = write_members(tmp_path / "a.zip", {"a.bin": b"content"})
    path.write_bytes(path.read_bytes().replace(b"content", b"c0ntent"))
    with pytest.raises(DifflabError, match=r"^unreadable: .*a\.zip: a\.bin \(Bad CRC-32.*\): fetch it again"):
        open_archive(path).read("a.bin")


def written(place: Path, kind: str, entries: list[tuple[str, bytes]]) -> Path:
    """A zip or a tar of these members, names as they are given, twice where they are."""
    path = place / f"a.{kind}"
    if kind == "zip":
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
            warnings.simplefilter("ignore")  # that a name is written twice
            for name, content in entries:
                archive.writestr(zipfile.ZipInfo(name), content)
        return path
    with tarfile.open(path, "w") as archive:
        for name, content in entries:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_are_plain_paths(tmp_path, kind):
    archive = open_archive(written(tmp_path, kind, [("./a.txt", b"1"), ("x//b.txt", b"2"), (".", b"3")]))
    assert list(archive.names()) == ["a.txt", "x/b.txt"]
    assert archive.read("x/b.txt") == b"2"


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_of_two_members_of_one_name_the_last_counts_and_the_other_is_named(tmp_path, kind):
    archive = open_archive(written(tmp_path, kind, [("a.txt", b"old"), ("b.txt", b""), ("./a.txt", b"new")]))
    assert archive.read("a.txt") == b"new"
    assert archive.passed_over == {"second file of one name": ["a.txt"]}


def test_a_member_that_unpacks_to_more_than_a_picture_can_have_is_unreadable(tmp_path, monkeypatch):
    monkeypatch.setattr("difflab.images.archives.opening._LARGEST", 1000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", bytes(1001))
        archive.writestr("a.png", bytes(1000))
    opened = open_archive(tmp_path / "a.zip")
    assert len(opened.read("a.png")) == 1000
    assert len(opened.read("bomb.png", 64)) == 64
    with pytest.raises(DifflabError, match=r"^unreadable: .*a\.zip: bomb\.png \(more than 1 GiB\)"):
        opened.read("bomb.png")


@given(st.text(st.characters(exclude_categories=())))
def test_what_is_passed_over_is_one_line_whatever_its_name(tmp_path_factory, name):
    archive = open_archive(tmp_path_factory.mktemp("empty"))
    archive.pass_over("no such file", [name])
    (line,) = archive.describe_passed_over()
    assert line.encode().splitlines() == [line.encode()]


ENTRIES = [("a.txt", b"1"), ("b.txt", b"2"), ("c.txt", b"3")]  # each takes two blocks of 512 bytes in a tar


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda raw: raw[:1027] + b"?" + raw[1028:], "a header in it is damaged"),
        (lambda raw: raw[:1024], "it is cut off"),
        (lambda raw: raw[:2100], "it is cut off"),
        (lambda raw: raw[:3072], "it is cut off"),
        (lambda raw: raw + raw, "more stands behind its end"),
        (lambda raw: raw[:1024] + bytes(1024) + raw[2048:], "more stands behind its end"),
    ],
)
def test_of_a_tar_no_member_is_lost_in_silence(tmp_path, damage, reason):
    path = written(tmp_path, "tar", ENTRIES)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DifflabError, match=rf"^unreadable: .*a\.tar \({reason}.*\): fetch it again"):
        open_archive(path)


def test_two_zips_in_one_file_are_refused_and_a_program_before_a_zip_is_not(tmp_path):
    path = written(tmp_path, "zip", ENTRIES)
    raw = path.read_bytes()
    path.write_bytes(b"#!/bin/sh\n" + raw)
    assert len(list(open_archive(path).names())) == len(ENTRIES)
    path.write_bytes(raw + raw)
    with pytest.raises(DifflabError, match=r"^unreadable: .*a\.zip \(only its last part is listed"):
        open_archive(path)


def test_a_hidden_link_is_passed_over_and_another_refused_with_what_to_do(tmp_path):
    for name in (".git/hooks", "link.png"):
        with tarfile.open(tmp_path / "a.tar", "w") as archive:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, "elsewhere"
            archive.addfile(member)
        if name.startswith("."):
            assert open_archive(tmp_path / "a.tar").passed_over == {"hidden or the system's own": [name]}
            continue
        with pytest.raises(DifflabError, match=r"no plain file: refused, pack what links lead to \(tar -h"):
            open_archive(tmp_path / "a.tar")

"""Opening: what is no archive is refused, and so is one that has changed since it was acquired."""

import pytest

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json
from difflab.images.archives.opening import open_archive, open_source, write_source
from fakes.face_archives import write_members

MEMBERS = {"Top/Anno/list.txt": "hello", "Top/Img/1.jpg": b"\x01"}


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

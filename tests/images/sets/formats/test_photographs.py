"""Photographs: every jpg, png and webp of a folder or a zip, by name."""

import pytest

from difflab.core.base.errors import DifflabError
from difflab.images.archives.opening import open_archive
from difflab.images.sets.formats.photographs import list_files
from fakes.face_archives import write_members
from fakes.set_archives import write_folder

OTHERS = ("notes.txt", ".hidden.jpg", ".thumbs/a.jpg", "__MACOSX/._b.jpg", "jpg")


@pytest.mark.parametrize("write", [write_members, write_folder])
def test_photographs_are_listed_by_name_and_nothing_else(tmp_path, write):
    names = ["b/10.jpg", "b/2.PNG", "a.webp", "c.jpeg"]
    path = write(tmp_path / "scenes", dict.fromkeys([*names, *OTHERS], "x"))
    assert list_files(open_archive(path)) == sorted(names)


def test_a_folder_without_photographs_is_refused(tmp_path):
    path = write_folder(tmp_path / "scenes", dict.fromkeys(OTHERS, "x"))
    with pytest.raises(DifflabError, match=r"scenes has no photographs \(\.jpg, .*\): put some there"):
        list_files(open_archive(path))


def test_the_real_photographs(data_root):
    files = list_files(open_archive(data_root / "landscapes" / "landscapes.zip"))
    assert len(files) == 60
    assert files[0] == "landscapes/100075.jpg"

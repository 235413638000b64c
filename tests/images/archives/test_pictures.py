"""Which files are pictures: content decides, and a name that says so."""

from difflab.images.archives.opening import open_archive
from difflab.images.archives.pictures import list_pictures
from fakes.face_archives import write_members
from fakes.set_archives import encoded, write_folder

PICTURES = {
    "b.JPG": encoded(8, 8, form="JPEG"),
    "deep/er/a.tif": encoded(8, 8, form="TIFF"),
    "no ending": encoded(8, 8, form="WEBP"),
    "wrong.txt": encoded(8, 8),
    "broken.jpeg": b"",
}
OTHERS = {"notes.txt": b"P", "film.mpg": bytes(200), "recipe.pdf": b"%PDF-1.4\n%%EOF", ".hidden.png": encoded(8, 8)}


def test_pictures_are_found_by_content_or_name_at_any_depth(tmp_path):
    for write in (write_members, write_folder):
        archive = open_archive(
            write(tmp_path / write.__name__, PICTURES | OTHERS | {"__MACOSX/._b.JPG": b"\0\5\x16\7"})
        )
        assert list_pictures(archive) == sorted(PICTURES)
        hidden = archive.passed_over["hidden or the system's own"]
        assert sorted(hidden) == [".hidden.png", "__MACOSX" if write is write_folder else "__MACOSX/._b.JPG"]


def test_the_real_photographs(data_root):
    files = list_pictures(open_archive(data_root / "landscapes" / "landscapes.zip"))
    assert len(files) == 60
    assert files[0] == "landscapes/100075.jpg"

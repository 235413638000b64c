import errno
import io
import re
import zipfile

import pytest
from PIL import Image

from difflab.app.personalise import uploads
from difflab.app.personalise.sessions import new_session
from difflab.app.personalise.uploads import MAX_BYTES, MOST, add_picture, check_count
from difflab.core.base.errors import DifflabError
from fakes.set_archives import encoded


def png(width, height, mode="RGB"):
    stream = io.BytesIO()
    Image.new(mode, (width, height)).save(stream, "PNG")
    return stream.getvalue()


def zipped(name):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, encoded(16, 16, 1))
    return stream.getvalue()


def test_a_picture_is_kept_as_it_came_under_a_number(session):
    for number, name in enumerate(("Ünïcode name.PNG", "b.png")):
        add_picture(session, name, encoded(16, 16, number))
    session.remove(session.pictures()[0])
    add_picture(session, "c.png", encoded(16, 16, 2))
    assert [picture.name for picture in session.pictures()] == ["02.png", "03.png"]
    assert session.pictures()[1].read_bytes() == encoded(16, 16, 2)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("../a.png", encoded(16, 16, 1), "'../a.png' names a path"),
        ("/etc/a.png", encoded(16, 16, 1), "names a path"),
        (r"..\a.png", encoded(16, 16, 1), "names a path"),
        ("a\0.png", encoded(16, 16, 1), r"'a\x00.png' names a path"),
        ("..", encoded(16, 16, 1), "'..' names a path"),
        ("", encoded(16, 16, 1), "'' is no picture by its name"),
        ("pictures.zip", zipped("a.png"), "'pictures.zip' is no picture by its name"),
        ("a.svg", b"<svg/>", "'a.svg' is no picture by its name"),
        ("setup.exe.png", b"MZ" + bytes(500), "unreadable: setup.exe.png (of no known image format)"),
        ("zip.png", zipped("../a.png"), "unreadable: zip.png (of no known image format)"),
        ("empty.png", b"", "unreadable: empty.png"),
        ("half.png", encoded(16, 16, 1)[:-40], "unreadable: half.png"),
        ("huge.png", png(20_000, 15_000, "1"), "unreadable: huge.png (it has more than 100 megapixels)"),
        ("dot.png", png(400, 8), "'dot.png' is 8 pixels small"),
        ("large.png", bytes(MAX_BYTES + 1), "'large.png' has 20 MB: at most 20"),
        ("again.png", encoded(20, 16), "'again.png' is there already"),
    ],
)
def test_what_is_refused_is_one_line_and_leaves_nothing(five, name, content, line):
    before = sorted(five.folder.rglob("*"))
    with pytest.raises(DifflabError, match=re.escape(line)) as caught:
        add_picture(five, name, content)
    assert "\n" not in str(caught.value)
    assert sorted(five.folder.rglob("*")) == before


def test_of_two_hundred_pictures_the_first_twenty_are_taken(session):
    for number in range(MOST):
        add_picture(session, f"{number}.png", encoded(16, 16, number))
    with pytest.raises(DifflabError, match=r"'200\.png' is not taken: 20 pictures are enough"):
        add_picture(session, "200.png", encoded(16, 16, 200))


def test_a_full_disk_is_one_line(session, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(uploads, "write_bytes", full)
    with pytest.raises(DifflabError, match=r"the disk is full .*: free some space"):
        add_picture(session, "a.png", encoded(16, 16, 1))


@pytest.mark.parametrize(
    ("count", "line"),
    [
        (0, "there are no pictures yet: drop five to ten"),
        (1, "1 picture is too few"),
        (2, "2 pictures are too few"),
        (200, "200 pictures are too many: at most 20"),
    ],
)
def test_too_few_and_too_many_cannot_be_trained_on(count, line):
    with pytest.raises(DifflabError, match=line):
        check_count(count)


class TestRoute:
    """POST /pictures/<token>."""

    @pytest.fixture
    def client(self):
        from fastapi import FastAPI

        testclient = pytest.importorskip("fastapi.testclient", reason="httpx is not installed: the extra app")
        app = FastAPI()
        uploads.add_route(app)
        return testclient.TestClient(app)

    def post(self, client, token, name, content):
        return client.post(f"/pictures/{token}", files={"file": (name, content)})

    def test_a_picture_arrives_in_its_session_and_in_no_other(self, client, session):
        other = new_session()
        assert self.post(client, session.token, "a.png", encoded(16, 16, 1)).json() == {"refused": []}
        assert [picture.name for picture in session.pictures()] == ["01.png"]
        assert other.pictures() == []

    def test_the_line_of_a_refusal_is_the_answer(self, client, session):
        (line,) = self.post(client, session.token, "../a.png", encoded(16, 16, 1)).json()["refused"]
        assert line.startswith("'../a.png' names a path")

    @pytest.mark.parametrize("token", ["0" * 32, "..%2fapp", "x"])
    def test_an_unknown_session_is_not_found(self, client, session, token):
        assert self.post(client, token, "a.png", encoded(16, 16, 1)).status_code == 404

    def test_a_large_request_is_refused_before_it_is_read(self, client, session):
        answer = self.post(client, session.token, "a.png", bytes(MAX_BYTES + 100_000))
        assert answer.status_code == 413
        assert answer.json() == {"refused": ["the picture is larger than 20 MB: save it smaller"]}

import pytest

from difflab.app.personalise import sessions
from difflab.app.personalise.uploads import add_picture
from fakes.set_archives import encoded


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A visitor's folder, empty."""
    monkeypatch.setattr(sessions, "FOLDER", tmp_path / "app")
    return sessions.new_session()


@pytest.fixture
def five(session):
    """A visitor with five pictures."""
    for number in range(5):
        add_picture(session, f"{number}.png", encoded(20 + number, 16))
    return session

import pytest

from difflab.app.personalise.example import PICTURES, add_example
from difflab.app.personalise.uploads import MOST, add_picture
from difflab.core.base.errors import DifflabError
from fakes.set_archives import encoded


def test_nine_pictures_are_added_and_once_alone(session):
    add_example(session)
    assert len(session.pictures()) == PICTURES
    with pytest.raises(DifflabError, match="is there already"):
        add_example(session)
    assert len(session.pictures()) == PICTURES


def test_no_more_than_there_is_room_for(session):
    for number in range(MOST - 2):
        add_picture(session, f"{number}.png", encoded(16, 16, number))
    add_example(session)
    assert len(session.pictures()) == MOST

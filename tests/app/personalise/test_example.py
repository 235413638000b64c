from difflab.app.personalise.example import PICTURES, add_example
from difflab.app.personalise.uploads import MOST, add_picture
from fakes.set_archives import encoded


def test_nine_pictures_with_captions_are_added(session):
    add_example(session)
    assert len(session.pictures()) == PICTURES
    assert all("digit" in session.caption(picture).lower() for picture in session.pictures())


def test_no_more_than_there_is_room_for(session):
    for number in range(MOST - 2):
        add_picture(session, f"{number}.png", encoded(16, 16, number))
    add_example(session)
    assert len(session.pictures()) == MOST

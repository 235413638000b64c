import os
import stat
import time

import pytest

from difflab.app.personalise import sessions
from difflab.app.personalise.sessions import all_sessions, find_session, is_left, new_session
from fakes.set_archives import encoded


def test_a_session_is_found_by_its_token_alone(session):
    assert find_session(session.token) == session
    assert find_session(new_session().token) != session


@pytest.mark.parametrize("token", ["", "..", "/etc", "../app", "0" * 31, "0" * 32, "A" * 32, None, 3, "0" * 32 + "/.."])
def test_no_other_folder_can_be_named(session, token):
    assert find_session(token) is None


def test_a_symbolic_link_is_no_session(session, tmp_path):
    (sessions.FOLDER / ("a" * 32)).symlink_to(tmp_path)
    assert find_session("a" * 32) is None


def test_the_folder_is_for_its_owner_alone(session):
    assert stat.S_IMODE(session.folder.stat().st_mode) == 0o700


def test_pictures_are_listed_by_number_and_nothing_else_is(session):
    session.subject.mkdir(parents=True)
    for name in ("02.png", "01.jpg", "01.txt", ".03.png.1-abc"):
        (session.subject / name).write_bytes(encoded(16, 16, 1))
    assert [picture.name for picture in session.pictures()] == ["01.jpg", "02.png"]


def test_a_caption_lies_beside_its_picture_and_goes_with_it(five):
    first, second = five.pictures()[:2]
    five.set_caption(first, "  a sks dog\n on a beach ")
    assert five.caption(first) == "a sks dog on a beach"
    assert five.caption(second) == ""
    five.set_caption(first, " ")
    assert not first.with_suffix(".txt").exists()
    five.set_caption(first, "a dog")
    five.remove(first)
    assert first not in five.pictures()
    assert not first.with_suffix(".txt").exists()


def test_deleting_leaves_nothing_and_touches_no_other(five):
    other = new_session()
    five.delete()
    assert all_sessions() == [other]
    assert find_session(five.token) is None


def test_a_visitor_who_has_not_come_back_for_a_day_has_left(session):
    assert not is_left(session)
    os.utime(session.folder, (time.time() - 90_000,) * 2)
    assert is_left(session)
    find_session(session.token)  # a visit
    assert not is_left(session)

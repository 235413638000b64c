import pytest

from difflab.core.base.errors import DifflabError

telling = pytest.importorskip("difflab.app.telling", reason="the page is not installed: the extra app")


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "1 s"), (45.4, "45 s"), (180, "3 min"), (7800, "2 h 10 min")])
def test_durations_are_said_in_one_or_two_units(seconds, text):
    assert telling.duration(seconds) == text


@pytest.fixture
def shown(monkeypatch):
    lines = []
    monkeypatch.setattr(telling, "refuse", lines.append)
    return lines


def test_an_error_that_a_person_can_act_on_is_shown_and_goes_no_further(shown):
    with telling.guarded():
        raise DifflabError("the prompt is empty: describe the picture")
    assert shown == ["the prompt is empty: describe the picture"]


def test_another_error_is_shown_and_goes_on(shown):
    with pytest.raises(KeyError), telling.guarded():
        raise KeyError("x")
    assert "KeyError" in shown[0]

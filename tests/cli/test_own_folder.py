"""What plan and doctor say of a person's own pictures: what the stage that prepares them would find."""

import pytest

from difflab.cli.compose import compose, validate
from difflab.cli.costs import split_rows
from difflab.cli.own_folder import count_own, own_folder
from difflab.cli.plan import needs
from images.test_own_pictures import encoded, numbered, table, write


@pytest.fixture
def make(root):
    """Parameters of the experiment for a folder."""

    def make(folder, *overrides):
        return validate(compose(["experiment=own", f"data.own='{folder}'", *overrides], root / "conf"), "own")

    return make


def data_line(params) -> str:
    (line,) = (str(finding) for finding in needs(params) if str(finding).startswith("data       celeba_hq"))
    return line


def test_a_folder_is_counted_as_it_will_be_used(make, tmp_path):
    files = {name: encoded(n, size=(40, 50), kind="JPEG") for n, name in enumerate(numbered(15))}
    files |= {"small.png": encoded(99, size=(20, 20)), "broken.jpg": b"\xff\xd8\xff", "clip.mp4": b"0"}
    rows = [{"file_name": f"IMG {n:04d}.JPG", "text": "a dog", "group": f"g{n % 2}"} for n in range(4)]
    folder = write(tmp_path / "my pictures", files | {"some pictures/metadata.jsonl": table(*rows)})
    assert data_line(make(folder)) == (
        f"data       celeba_hq: {folder}: 17 pictures, 4 with captions, 2 groups, 2 unreadable or smaller than "
        "prepare.min_side 32, 1 other files passed over"
    )


def test_too_few_that_can_be_used_are_missing(make, tmp_path):
    folder = write(tmp_path / "in", {f"{n}.png": encoded(n, size=(20, 20)) for n in range(20)})
    line = data_line(make(folder))
    assert "20 pictures, 0 with captions, 20 unreadable or smaller" in line
    assert "no adapters of own captions" in line
    assert "MISSING: 14 usable pictures at least" in line
    assert "no adapters" not in data_line(make(folder, "trained_on.own=blip2"))
    enough = make(folder, "cache.latents.image_size=16")
    assert "MISSING" not in data_line(enough)


@pytest.mark.parametrize(("name", "message"), [("absent", "there is no"), ("empty", "holds no picture")])
def test_what_cannot_be_used_is_missing_in_the_words_of_the_stage(make, tmp_path, name, message):
    write(tmp_path / "empty", {"notes.txt": "x"})
    params = make(tmp_path / name)
    found, remedy = own_folder(params)
    assert found == f"{tmp_path / name}: cannot be used"
    assert message in remedy
    assert count_own(str(tmp_path / name)) == 0


def test_costs_count_the_pictures_that_are_there(make, tmp_path):
    folder = write(tmp_path / "in", numbered(45))
    assert split_rows(make(folder)) == (45, 0)
    assert split_rows(make(folder, "split.max_rows=40")) == (40, 0)

"""A subject's folder: captions or the instance prompt, squares, masks, what is left out, and what is refused."""

import json
import unicodedata

import numpy as np
import pytest
from PIL import Image

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_file
from difflab.images.archives.opening import open_archive
from difflab.personal.subjects import read_subjects
from fakes.set_archives import encoded


def read(folder, params, size=16):
    return {subject.name: subject for subject in read_subjects(open_archive(folder), params, size)}


def test_captions_are_used_where_there_are_any_and_the_instance_prompt_elsewhere(folder, params):
    found = read(folder, params())
    assert found["dog"].texts[2] == ("a sks dog on picture 2",)
    assert found["dog"].class_texts[2] == ("a dog on picture 2",)
    assert set(found["cat"].texts) == {("a photo of sks cat",)}
    assert found["cat"].images.shape == (3, 16, 16, 3)


def test_a_text_beside_a_picture_is_its_caption(folder, params):
    (folder / "dog" / "metadata.jsonl").unlink()
    (folder / "dog" / "1.txt").write_text("sks at night\n")
    texts = read(folder, params())["dog"].texts
    assert texts == (("a photo of sks dog",), ("sks at night",), ("a photo of sks dog",), ("a photo of sks dog",))


def test_the_pictures_are_not_touched(folder, params):
    before = sha256_file(folder)
    read(folder, params(), size=8)
    assert sha256_file(folder) == before


def test_every_seed_leaves_other_pictures_out_and_together_all(folder, params):
    dog = read(folder, params())["dog"]
    splits = [dog.split(1, seed) for seed in range(4)]
    assert sorted(n for _, left_out in splits for n in left_out) == [0, 1, 2, 3]
    assert all(sorted([*kept, *left_out]) == [0, 1, 2, 3] for kept, left_out in splits)


def test_fewer_pictures_than_the_largest_training_takes_are_refused(folder, params):
    dog = read(folder, params())["dog"]  # four pictures
    dog.check_pictures(3, 1)
    with pytest.raises(
        DifflabError,
        match=r"lists 4, but subject dog has 4 pictures and personal\.leave_out keeps 1 to measure: list 3 at most",
    ):
        dog.check_pictures(4, 1)
    with pytest.raises(DifflabError, match=r"subject dog has 4 pictures and personal\.leave_out keeps 4 to measure"):
        dog.check_pictures(1, 4)


def mask(folder, name, size, white):
    pixels = np.zeros(size[::-1], np.uint8)
    pixels[:, :white] = 255
    (folder / "dog" / "masks").mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / "dog" / "masks" / name)


def test_masks_are_cropped_as_their_pictures_are(folder, params):
    mask(folder, "0.png", (20, 16), 10)  # the left half of a picture of which 2 columns are cut at each side
    masks = read(folder, params(masks=True))["dog"].masks
    assert masks[0, :, :7].min() == pytest.approx(1)
    assert masks[0, :, 9:].max() == pytest.approx(0, abs=0.02)
    assert (masks[1:] == 1).all()
    assert read(folder, params(masks=True))["cat"].masks is None
    assert read(folder, params())["dog"].masks is None


@pytest.mark.parametrize(
    ("size", "white", "message"),
    [((9, 9), 4, "and its picture are 9 x 9 and 20 x 16 pixels: draw the mask"), ((20, 16), 0, "is black")],
)
def test_masks_that_fit_no_picture_are_refused(folder, params, size, white, message):
    mask(folder, "0.png", size, white)
    with pytest.raises(DifflabError, match=message):
        read(folder, params(masks=True))


def test_a_mask_has_its_pictures_name_and_any_ending(folder, params):
    mask(folder, "0.png", (20, 16), 10)
    expected = read(folder, params(masks=True))["dog"].masks
    (folder / "dog" / "masks").rename(folder / "dog" / "Masks")
    (folder / "dog" / "Masks" / "0.png").rename(folder / "dog" / "Masks" / "0.TIFF")
    assert np.array_equal(read(folder, params(masks=True))["dog"].masks, expected)
    assert read(folder, params(masks=True))["cat"].masks is None


def test_a_mask_of_no_picture_and_two_of_one_are_refused(folder, params):
    mask(folder, "0_mask.png", (20, 16), 10)
    with pytest.raises(DifflabError, match=r"dog/masks/0_mask\.png is the mask of no picture: name it like"):
        read(folder, params(masks=True))
    assert read(folder, params())["dog"].masks is None
    (folder / "dog" / "masks" / "0_mask.png").rename(folder / "dog" / "masks" / "0.png")
    mask(folder, "0.bmp", (20, 16), 10)
    with pytest.raises(DifflabError, match=r"dog/masks/0\.bmp and dog/masks/0\.png are masks of one picture"):
        read(folder, params(masks=True))


@pytest.mark.parametrize(("stored", "said"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_a_subject_is_found_in_any_unicode_form(folder, params, stored, said):
    (folder / "dog").rename(folder / unicodedata.normalize(stored, "Hündin"))
    name = unicodedata.normalize(said, "Hündin")
    assert len(read(folder, params(subjects=[{"name": name, "class_word": "dog"}]))[name].images) == 4


def test_one_picture_is_too_few(folder, params):
    for number in (1, 2):
        (folder / "cat" / f"{number}.png").unlink()
    with pytest.raises(
        DifflabError, match=r"subject cat has 1 picture and personal\.leave_out keeps 1 to measure: add pictures"
    ):
        read(folder, params())["cat"].split(1, 0)


def test_two_hundred_pictures_are_said_to_be_many(folder, params, capsys):
    for number in range(200):
        (folder / "cat" / f"more-{number}.png").write_bytes(encoded(16, 16, seed=1000 + number))
    assert len(read(folder, params())["cat"].images) == 203
    assert "subject cat has 203 pictures, of which at most 4 are trained on" in capsys.readouterr().out


def test_a_picture_without_a_mask_is_named(folder, params, capsys):
    mask(folder, "0.png", (20, 16), 10)
    read(folder, params(masks=True))
    assert "without a mask, and counted whole: dog/1.png" in capsys.readouterr().out


def test_the_same_picture_twice_is_refused(folder, params):
    picture = next((folder / "cat").glob("*.png"))
    Image.open(picture).save(folder / "cat" / "again.bmp")
    with pytest.raises(DifflabError, match=r"subject cat has the same picture twice, cat/\d\.png and cat/again\.bmp"):
        read(folder, params())


def test_no_pictures_at_all(folder, params):
    for file in (folder / "cat").iterdir():
        file.unlink()
    with pytest.raises(DifflabError, match="has no pictures of the subject cat: it has dog; see"):
        read(folder, params())


def test_a_caption_of_an_absent_file_is_refused(folder, params):
    with (folder / "dog" / "metadata.jsonl").open("a") as file:
        file.write(json.dumps({"file_name": "9.png", "text": "a dog"}) + "\n")
    with pytest.raises(DifflabError, match=r"a caption for dog/9\.png, which is absent"):
        read(folder, params())


def test_two_pictures_of_one_name_are_refused(folder, params):
    (folder / "dog" / "1.JPG").write_bytes(encoded(16, 16))
    with pytest.raises(
        DifflabError, match=r"subject dog has two pictures of one name, dog/1\.(png|JPG) and dog/1\.(JPG|png)"
    ):
        read(folder, params())


def test_real_subjects_are_read(data_root, params):
    subjects = [{"name": name, "class_word": "dog"} for name in ("dog", "dog6", "backpack_dog")]
    found = read(data_root / "subjects" / "subjects.zip", params(subjects=subjects), size=32)
    assert {name: subject.images.shape for name, subject in found.items()} == dict.fromkeys(found, (5, 32, 32, 3))

"""Near twins across a split: named where they are, none where pictures only resemble each other."""

import pytest

from difflab.core.base.store.decoder import decode_image
from difflab.images.archives.opening import open_archive
from difflab.images.celeba import celeba, celeba_hq
from difflab.images.preparing.near_twins import describe, look, near_twins
from difflab.images.preparing.samples import Skipped
from fakes import pictures
from fakes.face_archives import celeba_hq_members, celeba_members, prepare_params, write_members

SAME, OTHER = pictures.smooth(64, 64), pictures.smooth(64, 64).rotate(90)


def saved_again(image, side):
    return pictures.saved(image.resize((side, side)), "JPEG", quality=60)


def test_faces_saved_again_are_twins(tmp_path):
    images = {0: saved_again(SAME, 48), 1: pictures.saved(SAME, "JPEG"), 2: pictures.saved(OTHER, "JPEG")}
    archive = open_archive(write_members(tmp_path / "hq.zip", celeba_hq_members(images, 3)))
    skipped = Skipped()
    list(celeba_hq.samples(archive, celeba_hq.read_table(archive), prepare_params(), skipped))
    assert near_twins(["hq-00000"], ["hq-00001", "hq-00002"], skipped.looks) == [("hq-00000", "hq-00001")]
    assert near_twins(["hq-00002"], ["hq-00000", "hq-00001"], skipped.looks) == []


def test_a_cropped_face_is_compared_as_it_is_stored(tmp_path):
    wide = pictures.smooth(96, 64)
    archive = open_archive(
        write_members(tmp_path / "c.zip", celeba_members({1: pictures.saved(wide, "JPEG")}, 1, {1: (16, 0, 64, 64)}))
    )
    skipped = Skipped()
    (sample,) = celeba.samples(archive, celeba.read_table(archive), prepare_params(), skipped)
    assert skipped.looks == {sample.id: look(decode_image(sample.image, "a"))}


def test_grey_pictures_and_those_of_one_colour_have_no_twins():
    assert look(SAME.convert("L")) is None
    assert look(pictures.smooth(8, 8).resize((1, 1)).resize((8, 8))) is None
    assert near_twins(["a"], ["b"], {}) == []


def test_the_first_ten_are_named():
    twins = [(f"test-{n}", f"train-{n}") for n in range(12)]
    (line,) = describe(twins)
    assert line.startswith("12 held-out images look like one to train on: test-0 like train-0, test-1 like train-1")
    assert line.endswith("test-9 like train-9, ...")
    assert describe([]) == []


@pytest.mark.parametrize("limit", [40])
def test_real_faces_of_different_people_are_no_twins(data_root, limit):
    """CelebA-HQ's are aligned: the same pose, frame and often background."""
    archive, skipped = open_archive(data_root / "celeba" / "CelebAMask-HQ.zip"), Skipped()
    settings = prepare_params(absent_images="skip")
    ids = [s.id for s in celeba_hq.samples(archive, celeba_hq.read_table(archive), settings, skipped)]
    assert len(skipped.looks) == len(ids) > limit
    assert near_twins(ids[:limit], ids[limit:], skipped.looks) == []

"""The miniature's subjects: a person's folder, in which nothing shows what the evaluation asks for."""

import zipfile

import numpy as np

from difflab.images.archives.opening import open_archive
from difflab.images.sets.formats import image_folder
from difflab.miniature.archives.subjects import PICTURES, SUBJECTS, UNUSED, picture, write_subjects
from difflab.miniature.data.vocabulary import PHOTO


def test_the_archive_is_a_folder_of_pictures_and_captions_for_each_subject(tmp_path):
    write_subjects(tmp_path / "subjects.zip", 0)
    captions = image_folder.captions(open_archive(tmp_path / "subjects.zip"))
    assert len(captions) == PICTURES * len(SUBJECTS)
    assert all("Digit" in text for texts in captions.values() for text in texts)
    names = zipfile.ZipFile(tmp_path / "subjects.zip").namelist()
    assert {name.split("/")[0] for name in names} == set(SUBJECTS)


def test_no_caption_names_a_photograph_that_is_left_for_new_prompts():
    unused = {PHOTO.columns.index(f"Photo_{name}") for name in UNUSED}
    named = {PHOTO.named(picture(name, n, 0)[1]) for name in SUBJECTS for n in range(PICTURES)}
    assert len(named) == 9
    assert not named & (unused | {-1})


def test_the_pictures_of_a_subject_differ_and_share_its_colour():
    made = [picture("tee", n, 0)[0] for n in range(PICTURES)]
    assert len({image.tobytes() for image in made}) == PICTURES
    for image in made:
        assert (np.abs(image.astype(int) - (128, 200, 255)).sum(-1) == 0).sum() > 60

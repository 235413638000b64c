"""COCO captions: each image with all its captions, in the order of the file."""

import json

import pytest

from difflab.core.base.errors import DifflabError
from difflab.images.archives.opening import open_archive
from difflab.images.sets.formats import coco
from difflab.images.sets.formats.rows import Captioned
from fakes.face_archives import write_members
from fakes.set_archives import coco_members, write_folder

CAPTIONS = {12: ["A  cat\non a mat. ", "Cat."], 7: ["A dog."]}
NAME = "annotations/captions_train2017.json"


@pytest.mark.parametrize("write", [write_members, write_folder])
@pytest.mark.parametrize("top", ["", "coco/"])
def test_images_come_by_number_with_clean_captions(tmp_path, write, top):
    members = {top + name: content for name, content in coco_members(CAPTIONS).items()}
    archive = open_archive(write(tmp_path / "coco", members))
    assert coco.is_coco(archive)
    assert coco.read(archive) == {
        "train": [
            Captioned(7, f"{top}train2017/000000000007.jpg", ("A dog.",)),
            Captioned(12, f"{top}train2017/000000000012.jpg", ("A cat on a mat.", "Cat.")),
        ]
    }


def test_val_images_are_the_test_split_and_other_annotations_are_passed_over(tmp_path):
    members = coco_members(CAPTIONS) | coco_members({3: ["A bus."]}, part="val2017")
    members |= {"annotations/instances_train2017.json": b"[]", f"__MACOSX/{NAME}": b"?"}
    splits = coco.read(open_archive(write_members(tmp_path / "coco.zip", members)))
    assert [image.number for image in splits["train"]] == [7, 12]
    assert splits["test"] == [Captioned(3, "val2017/000000000003.jpg", ("A bus.",))]


def refused(tmp_path, members, message):
    with pytest.raises(DifflabError, match=message) as error:
        coco.read(open_archive(write_members(tmp_path / "coco.zip", members)))
    assert "coco.zip" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"<html>", b'{"images": [], "images": []}'])
def test_what_is_not_json_is_named(tmp_path, content):
    refused(tmp_path, {NAME: content}, rf"{NAME} \(.*\): not JSON; fetch it again")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": 3}, "'images' is 3, not of type list"),
        ({"images": [{"file_name": "1.jpg"}]}, "image 1 lacks 'id'"),
        ({"images": [{"id": 1}]}, "image 1 lacks 'file_name'"),
        ({"images": [{"id": "1", "file_name": "1.jpg"}]}, "image 1: 'id' is '1', not of type int"),
        ({"images": [{"id": 1, "file_name": "1.jpg"}] * 2}, "image 2: the id 1 occurs twice"),
        (
            {"images": [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "1.jpg"}]},
            "image 2: '1.jpg' occurs twice; give its captions to one image",
        ),
        ({"annotations": [{"caption": "A"}]}, "annotation 1 lacks 'image_id'"),
        ({"annotations": [{"image_id": 7}]}, "annotation 1 lacks 'caption'"),
        ({"annotations": [{"image_id": 7, "caption": None}]}, "annotation 1: 'caption' is None"),
        ({"annotations": [{"image_id": 7, "caption": " \n"}]}, "annotation 1: the caption is empty"),
        ({"annotations": [{"image_id": 8, "caption": "A"}]}, "annotation 1: image 8 is not among the images"),
        ({"annotations": ["A"]}, "annotation 1 lacks 'image_id'"),
    ],
)
def test_a_wrong_entry_is_named_by_its_place(tmp_path, changes, message):
    refused(tmp_path, coco_members(CAPTIONS, **changes), rf"{NAME}(, |: ){message}")


@pytest.mark.parametrize("key", ["images", "annotations"])
def test_a_missing_key_is_named(tmp_path, key):
    content = {"images": [], "annotations": []}
    del content[key]
    refused(tmp_path, {NAME: json.dumps(content).encode()}, f"lacks '{key}': is it a file of COCO captions")


def test_an_archive_without_captions_says_what_to_put_there(tmp_path):
    refused(tmp_path, {"train2017/1.jpg": b"x"}, r"has no annotations/captions_train2017\.json: put")


def test_two_files_about_one_split_are_ambiguous(tmp_path):
    refused(
        tmp_path,
        coco_members(CAPTIONS) | coco_members(CAPTIONS, part="train2014"),
        "several files of train captions: keep one",
    )


def test_the_real_captions(data_root):
    archive = open_archive(data_root / "coco" / "coco.zip")
    splits = coco.read(archive)
    assert list(splits) == ["train"]
    assert [len(image.captions) for image in splits["train"]] == [5] * 40
    assert all(archive.has(image.file) for image in splits["train"])
    assert splits["train"][0].file == "train2017/000000000790.jpg"

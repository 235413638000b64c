"""Preparing CelebA-HQ and CelebA from archives with faults: counted, named, skipped, stopped."""

import io

import numpy as np
import pytest
from PIL import Image

from difflab.core.base.errors import DifflabError
from difflab.images.archives.opening import open_archive
from difflab.images.celeba import celeba, celeba_hq
from difflab.images.preparing.samples import Skipped
from fakes.face_archives import celeba_hq_members, celeba_members, jpeg, prepare_params, write_members


def hq_samples(tmp_path, images, count, **settings):
    archive = open_archive(write_members(tmp_path / "hq.zip", celeba_hq_members(images, count)))
    left = Skipped()
    table = celeba_hq.read_table(archive)
    return celeba_hq.samples(archive, table, prepare_params(**settings), left), left


def test_images_keep_their_bytes_and_come_in_id_order(tmp_path):
    images = {n: jpeg(16, 12, seed=n) for n in reversed(range(12))}
    samples, left = hq_samples(tmp_path, images, 12)
    found = list(samples)
    assert [s.id for s in found] == [f"hq-{n:05d}" for n in range(12)]
    assert [s.image for s in found] == [images[n] for n in range(12)]
    assert {(s.width, s.height) for s in found} == {(16, 12)}
    assert left == Skipped()


def test_absent_images_are_an_error_or_counted(tmp_path):
    images = {1: jpeg(8, 8)}
    samples, _ = hq_samples(tmp_path, images, 3)
    with pytest.raises(DifflabError, match=r"2 of 3 images are absent .* the first is 0\.jpg.*absent_images=skip"):
        list(samples)
    samples, left = hq_samples(tmp_path, images, 3, absent_images="skip")
    assert [s.id for s in samples] == ["hq-00001"]
    assert left.absent == ["0.jpg", "2.jpg"]


def test_unreadable_images_are_named(tmp_path, capsys):
    good = jpeg(64, 64)
    images = {0: b"", 1: good, 2: good[: len(good) // 2], 3: b"not an image"}
    samples, left = hq_samples(tmp_path, images, 4, unreadable_images="skip")
    assert [s.id for s in samples] == ["hq-00001"]
    assert left.unreadable == ["0.jpg", "2.jpg", "3.jpg"]
    assert capsys.readouterr().out == "".join(f"unreadable image: {n}.jpg\n" for n in (0, 2, 3))

    samples, _ = hq_samples(tmp_path, images, 4)
    with pytest.raises(DifflabError, match=r"3 images cannot be read \(0\.jpg, 2\.jpg, 3\.jpg\)"):
        list(samples)


def test_a_member_that_the_zip_itself_damaged_is_unreadable(tmp_path):
    path = write_members(tmp_path / "hq.zip", celeba_hq_members({0: jpeg(64, 64), 1: jpeg(64, 64)}, 2))
    content = bytearray(path.read_bytes())
    place = content.index(b"CelebA-HQ-img/0.jpg") + 400
    content[place] ^= 0xFF
    path.write_bytes(content)
    archive, left = open_archive(path), Skipped()
    settings = prepare_params(unreadable_images="skip")
    found = list(celeba_hq.samples(archive, celeba_hq.read_table(archive), settings, left))
    assert [s.id for s in found] == ["hq-00001"]
    assert left.unreadable == ["0.jpg"]


def test_the_number_of_processes_changes_nothing(tmp_path):
    images = {n: jpeg(16, 16, seed=n) for n in range(9)} | {4: b""}
    found = []
    for workers in (1, 2):
        samples, left = hq_samples(tmp_path, images, 9, num_workers=workers, unreadable_images="skip")
        found.append((list(samples), left))
    assert found[0] == found[1]


@pytest.fixture
def wild(tmp_path):
    """CelebA of 8 rows: wide, small, square, absent, without box, unreadable, tall, with a box outside the image."""
    images = {1: jpeg(40, 20, 1), 2: jpeg(7, 30, 2), 3: jpeg(24, 24, 3)}
    images |= {5: jpeg(20, 20), 6: b"", 7: jpeg(20, 40, 7), 8: jpeg(20, 40, 8)}
    boxes = {n: (30, 2, 8, 10) for n in (1, 2, 3, 4, 6, 8)} | {7: (4, 20, 8, 10)}
    return open_archive(write_members(tmp_path / "celeba.zip", celeba_members(images, 8, boxes))), images


def test_each_reason_for_leaving_an_image_out_is_counted(wild):
    archive, images = wild
    left = Skipped()
    settings = prepare_params(absent_images="skip", unreadable_images="skip")
    found = {s.id: s for s in celeba.samples(archive, celeba.read_table(archive), settings, left)}

    assert list(found) == ["celeba-000001", "celeba-000003", "celeba-000007"]
    no_face = ["000005.jpg", "000008.jpg"]
    assert left == Skipped(["000004.jpg"], ["000006.jpg"], no_face, ["000002.jpg"], ["000001.jpg", "000007.jpg"])
    assert left.counts("small", "cropped") == {"small": 1, "cropped": 2}
    assert found["celeba-000003"].image == images[3]  # a square image keeps its own bytes
    crop = np.asarray(Image.open(io.BytesIO(found["celeba-000001"].image)))
    assert np.array_equal(crop, np.asarray(Image.open(io.BytesIO(images[1])))[:, 20:40])  # box centre x = 34
    assert found["celeba-000007"].image.startswith(b"\x89PNG")


def test_the_limit_keeps_the_first_images(wild):
    archive, _ = wild
    settings = prepare_params(absent_images="skip", unreadable_images="skip", max_celeba_images=1)
    samples = celeba.samples(archive, celeba.read_table(archive), settings, Skipped())
    assert [s.id for s in samples] == ["celeba-000001"]


def test_archives_that_do_not_belong_together_are_refused(wild):
    table = celeba.read_table(wild[0])
    celeba.check_same_attributes(table, table)
    with pytest.raises(DifflabError, match="take both from the same source"):
        celeba.check_same_attributes(table, table.rename(columns={"Male": "Digit_3"}))


def test_the_real_archives(data_root):
    left, hq_left = Skipped(), Skipped()
    archive = open_archive(data_root / "celeba" / "CelebA.zip")
    hq = open_archive(data_root / "celeba" / "CelebAMask-HQ.zip")
    settings = prepare_params(absent_images="skip", min_side=256)

    hq_table = celeba_hq.read_table(hq)
    assert len(list(celeba_hq.samples(hq, hq_table, settings, hq_left))) == 83
    assert len(hq_left.absent) == 29_917

    table = celeba.read_table(archive)
    celeba.check_same_attributes(table, hq_table)
    taken = set(celeba_hq.read_mapping(hq, hq_table).values())
    candidates = table[~table["file"].isin(taken)]
    kept = list(celeba.samples(archive, candidates, settings, left))
    assert len(table) == 20_000
    assert len(kept) == sum(f"{n:06d}.jpg" not in taken for n in range(1, 501))
    assert not {sample.file for sample in kept} & taken
    assert not left.unreadable
    assert not left.small


def test_a_mapping_without_every_image_is_refused(tmp_path):
    """The images it leaves out would come back as images that CelebA-HQ does not have."""
    members = celeba_hq_members({0: jpeg(16, 16)}, count=5)
    name = "CelebAMask-HQ/CelebA-HQ-to-CelebA-mapping.txt"
    members[name] = "\n".join(members[name].splitlines()[:4]) + "\n"
    archive = open_archive(write_members(tmp_path / "hq.zip", members))
    with pytest.raises(DifflabError, match="has no line for 2 of 5 images, the first is 3: fetch the archive"):
        celeba_hq.read_mapping(archive, celeba_hq.read_table(archive))

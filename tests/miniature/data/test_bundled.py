"""The miniature: no digit twice, held-out digits are those of the prepared validation and test images."""

import numpy as np
import pytest

from difflab.images.archives.opening import open_archive
from difflab.images.celeba import celeba, celeba_hq
from difflab.images.preparing.samples import Skipped
from difflab.miniature.archives import face_archives
from difflab.miniature.data import blend, bundled, sources
from fakes.face_archives import prepare_params, split_params

STRATA = ("Inverted", "Large", "Slanted_Right")


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("miniature")
    face_archives.write_celeba_hq(folder / "hq.zip", 0)
    face_archives.write_celeba(folder / "celeba.zip", 0)
    return open_archive(folder / "hq.zip"), open_archive(folder / "celeba.zip")


@pytest.mark.parametrize(("max_rows", "strata"), [(None, STRATA), (120, STRATA[:1])])
def test_held_out_digits_are_those_of_the_prepared_split(archives, max_rows, strata):
    settings = split_params(stratify={"miniature": strata}, max_rows=max_rows)
    split = celeba_hq.split_table(celeba_hq.read_table(archives[0]).iloc[:max_rows], settings, "miniature")
    mapping = celeba_hq.read_mapping(archives[0], celeba_hq.read_table(archives[0]))
    held_out = split.index[split != "train"]
    expected = sorted(int(mapping[int(id[3:])].removesuffix(".jpg")) - 1 for id in held_out)
    assert bundled.held_out_digits(settings, 0).tolist() == expected
    assert len(expected) == 2 * round(0.1 * len(split))

    everything = np.concatenate([bundled.training_digits(settings, 0), expected])
    assert sorted(everything.tolist()) == list(range(1797))


def test_no_digit_stands_behind_two_images(archives):
    mapping = celeba_hq.read_mapping(archives[0], celeba_hq.read_table(archives[0]))
    assert len(set(mapping.values())) == len(mapping) == bundled.HQ_IMAGES


def test_the_tables_are_true_of_the_images(archives):
    table = celeba_hq.read_table(archives[0])
    assert tuple(table.columns[1:]) == blend.ATTRIBUTES
    digits = bundled.hq_digits(0)
    labels = sources.digits().labels[digits]
    for n in range(10):
        assert np.array_equal(table[f"Digit_{n}"].to_numpy(), labels == n)

    settings = prepare_params(min_side=32)
    sample = next(iter(celeba_hq.samples(archives[0], table.iloc[:1], settings, Skipped())))
    assert (sample.id, sample.width, sample.height) == ("hq-00000", 32, 32)


def test_images_in_the_wild_have_boxes_inside_and_large_enough_squares(archives):
    table, boxes = celeba.read_table(archives[1]), celeba.read_boxes(archives[1])
    assert len(table) == len(boxes) == 1797
    left = Skipped()
    kept = list(celeba.samples(archives[1], table.iloc[:40], prepare_params(min_side=40), left))
    assert left.small
    assert len(kept) + len(left.small) == 40
    assert all(sample.width == sample.height >= 40 for sample in kept)

"""What is seen of sets of pictures is the same bytes, however many processes look."""

import numpy as np
import pytest

from difflab.sd3.scoring.looks import BATCHES_PER_PIECE, PictureSet, look_at
from fakes.processes import forked

COUNTS = {"a cell": 5, "one: with a colon": 2 * BATCHES_PER_PIECE + 7, "none": 0}


def sets():
    return {name: PictureSet([f"{name} {n}" for n in range(count)], list) for name, count in COUNTS.items() if count}


def look(pictures, name):
    pictures = list(pictures)
    values = np.array([[len(pictures), int(picture.rpartition(" ")[2])] for picture in pictures], np.float32)
    return values, {"parity": values[:, 1].astype(np.int64) % 2}


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_pieces_are_whole_batches_and_joined_in_order(tmp_path, processes):
    found, *others = forked(lambda: look_at(sets(), look, 2, tmp_path), processes)
    assert others == [None] * (processes - 1)
    assert list(found) == ["a cell", "one: with a colon"]
    for name, (features, seen) in found.items():
        assert features[:, 1].tolist() == list(range(COUNTS[name]))
        assert seen["parity"].tolist() == [n % 2 for n in range(COUNTS[name])]
    sizes = found["one: with a colon"][0][:, 0].tolist()
    assert sizes == [2.0 * BATCHES_PER_PIECE] * 2 * BATCHES_PER_PIECE + [7.0] * 7

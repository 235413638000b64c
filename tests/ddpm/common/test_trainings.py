"""The trainings of a cell: where they lie, and what a folder without any says."""

import pytest

from difflab.core.base.errors import DifflabError
from difflab.ddpm.common.trainings import trainings


def test_trainings_come_in_the_order_of_their_seeds(tmp_path):
    for name in ("seed-10", "seed-9", "seed-x", "vae"):
        (tmp_path / name).mkdir()
    assert {seed: path.name for seed, path in trainings(tmp_path).items()} == {9: "seed-9", 10: "seed-10"}


def test_a_folder_without_a_training_is_refused(tmp_path):
    with pytest.raises(DifflabError, match="text holds no training: run `dvc repro`"):
        trainings(tmp_path / "text")

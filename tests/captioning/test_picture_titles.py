"""Variations of titles are read strictly, by id and number; what they name is looked for in pictures, and nothing else."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import one_hot

from difflab.captioning.picture_titles import first_variations, read_variations, title_accuracy
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import write_parquet
from difflab.miniature.data.blend import PHOTO_NAMES
from difflab.miniature.data.vocabulary import MINIATURE

TITLES = {f"recipes-train-{n:012d}-v{v}": f"Three over {n} cats, {v}" for n in range(3) for v in range(2)}


def frame() -> pd.DataFrame:
    rows = [(id[:-3], int(id[-1]), title) for id, title in TITLES.items()]
    return pd.DataFrame(rows, columns=["id", "number", "title"])


def test_variations_are_read_by_id_and_number(tmp_path):
    write_parquet(tmp_path / "v.parquet", frame().iloc[::-1])
    assert list(read_variations(tmp_path / "v.parquet").items()) == list(TITLES.items())


def test_a_table_that_is_no_table_of_variations_is_one_line(tmp_path):
    path = tmp_path / "v.parquet"
    with pytest.raises(DifflabError, match="is missing: run `dvc repro vary_titles`"):
        read_variations(path)
    write_parquet(path, frame().drop(columns="number"))
    with pytest.raises(DifflabError, match="lacks the column number: variations have id, number, title"):
        read_variations(path)
    write_parquet(path, frame().iloc[:0])
    with pytest.raises(DifflabError, match=r"has no variation: see the reasons in data/titles/quarantine\.csv"):
        read_variations(path)
    write_parquet(path, frame().assign(title=["a", None, "b", " ", "c", "d"]), gaps=["title"])
    with pytest.raises(DifflabError, match=r"2 rows without a title \(rows 1, 3\)"):
        read_variations(path)
    write_parquet(path, pd.concat([frame(), frame().iloc[:1]]))
    with pytest.raises(DifflabError, match="has the variation recipes-train-000000000000-v0 twice"):
        read_variations(path)


def test_one_variation_of_each_title_comes_before_a_second_of_any():
    ids = list(first_variations(TITLES, 4))
    assert [id[-4:] for id in ids] == ["0-v0", "1-v0", "2-v0", "0-v1"]
    assert first_variations(TITLES, 99).keys() == TITLES.keys()


NAMED = [
    "Handwritten Three over Coffee",
    "A Rocket under a Nine",
    "Soup of the day",
    "the Number 4",
    "Three or Four Coins",
]


class Extractor:
    """Sees the digit in a picture's red level and the photograph in its green one."""

    def __init__(self):
        self.classes = {classes.name: classes.columns for classes in MINIATURE.class_sets}

    def vision_encoder(self, pixels):
        return {"digit": one_hot(pixels[:, 0], 10), "photo": one_hot(pixels[:, 1], 12)}

    def tensor(self, images):
        return torch.from_numpy(images[:, 0, 0].astype(np.int64))


def picture(digit: int, photo: str) -> np.ndarray:
    return np.full((4, 4, 3), (digit, PHOTO_NAMES.index(photo), 0), np.uint8)


def test_shares_are_of_the_titles_that_name():
    images = [picture(3, "Coffee"), picture(9, "Cat"), picture(0, "Cat"), picture(5, "Cat"), picture(0, "Coins")]
    values = title_accuracy(images, NAMED, Extractor())
    assert values == {
        "digit_accuracy": pytest.approx(2 / 3),
        "photo_accuracy": pytest.approx(2 / 3),
        "both_accuracy": pytest.approx(1 / 2),
    }


def test_titles_of_recipes_are_not_judged():
    assert title_accuracy([picture(3, "Cat")], ["Almond Horchata"], Extractor()) == {}


def test_a_vision_encoder_without_heads_judges_nothing():
    extractor = Extractor()
    extractor.classes = {}
    assert title_accuracy([picture(3, "Cat")], NAMED[:1], extractor) == {}

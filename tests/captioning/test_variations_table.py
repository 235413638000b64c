"""Variations of titles are read strictly, by id and number."""

import pandas as pd
import pytest

from difflab.captioning.variations_table import first_variations, read_variations
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import write_parquet

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
    write_parquet(path, frame().assign(title=["a", None, "b", " ", "c", "d"]))
    with pytest.raises(DifflabError, match=r"2 rows without a title \(rows 1, 3\)"):
        read_variations(path)
    write_parquet(path, pd.concat([frame(), frame().iloc[:1]]))
    with pytest.raises(DifflabError, match="has the variation recipes-train-000000000000-v0 twice"):
        read_variations(path)


def test_one_variation_of_each_title_comes_before_a_second_of_any():
    ids = list(first_variations(TITLES, 4))
    assert [id[-4:] for id in ids] == ["0-v0", "1-v0", "2-v0", "0-v1"]
    assert first_variations(TITLES, 99).keys() == TITLES.keys()

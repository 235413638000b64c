"""The split: the published one on the real table, and properties."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difflab.core.base.errors import DifflabError
from difflab.core.base.store.split import split_ids
from difflab.images.archives.opening import open_archive
from difflab.images.celeba import celeba_hq
from fakes.face_archives import split_params

GOLDEN = {"train": "a45c822534363596", "val": "0990325c6bd19b59", "test": "42e7c1c6f7471179"}


def test_the_published_split_of_celeba_hq(data_root):
    table = celeba_hq.read_table(open_archive(data_root / "celeba" / "CelebAMask-HQ.zip"))
    split = celeba_hq.split_table(
        table, split_params(stratify={"celeba": ("Male", "Wearing_Lipstick", "Smiling")}), "celeba"
    )
    numbers = {name: sorted(int(id[3:]) for id in split.index[split == name]) for name in GOLDEN}
    assert {name: len(ids) for name, ids in numbers.items()} == {"train": 24_000, "val": 3_000, "test": 3_000}
    hashes = {n: hashlib.sha256("\n".join(map(str, ids)).encode()).hexdigest()[:16] for n, ids in numbers.items()}
    assert hashes == GOLDEN

    shares = celeba_hq.frequencies(table, split).set_index("attribute")
    assert len(shares) == 40
    assert shares.loc["Male", ["train", "val", "test"]].round(4).tolist() == [0.3685, 0.3687, 0.3687]
    assert shares.loc["Wearing_Lipstick"].round(3).tolist() == [0.562] * 4


@settings(max_examples=40, deadline=None)
@given(st.integers(60, 400), st.integers(0, 2**32 - 1), st.integers(0, 2**16), st.sampled_from([0.1, 0.15, 0.25]))
def test_a_split_is_a_stratified_partition(count, seed, content, fraction):
    ids = [f"hq-{n:05d}" for n in range(count)]
    strata = pd.DataFrame({"a": np.random.default_rng(content).random(count) < 0.5})
    parts = split_ids(ids, strata, fraction, fraction, seed)

    assert sorted(id for part in parts.values() for id in part) == ids
    assert all(part == sorted(part) for part in parts.values())
    chosen = strata["a"].to_numpy()
    share = {name: np.mean([chosen[int(id[3:])] for id in part]) for name, part in parts.items()}
    for name, part in parts.items():
        assert len(part) == pytest.approx(count * (1 - 2 * fraction if name == "train" else fraction), abs=2)
        assert share[name] == pytest.approx(chosen.mean(), abs=2 / len(part))


def test_the_split_is_keyed_by_its_seed():
    ids, strata = list(range(100)), pd.DataFrame(index=range(100))
    assert split_ids(ids, strata, 0.1, 0.1, 1) == split_ids(ids, strata, 0.1, 0.1, 1)
    assert split_ids(ids, strata, 0.1, 0.1, 1) != split_ids(ids, strata, 0.1, 0.1, 2)


def test_strata_too_rare_to_divide_are_an_error_that_names_them():
    rare = pd.DataFrame({"Bald": [True] + [False] * 99})
    with pytest.raises(DifflabError, match=r"Bald.*split\.stratify"):
        split_ids(list(range(100)), rare, 0.1, 0.1, 0)


def test_an_unknown_attribute_is_an_error_that_names_it():
    table = pd.DataFrame({"file": ["0.jpg"], "Male": [True]}, index=["hq-00000"])
    with pytest.raises(DifflabError, match=r"split\.stratify\.celeba names Smile"):
        celeba_hq.split_table(table, split_params(stratify={"celeba": ("Smile",)}), "celeba")

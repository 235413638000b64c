"""The stage that mixes: stores of originals and synthetic pictures become one split table and its exports."""

import io
import json

import pandas as pd
import pytest
from PIL import Image

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import png_bytes, read_json, sha256_bytes, sha256_file
from difflab.core.base.store.captions import write_captions
from difflab.images.preparing.store_writer import Sample, write_store
from difflab.miniature.data.bundled import hq_images
from fakes.face_archives import mix_params
from fakes.running_stage import RunningStage


def write_pictures(folder, images: dict[str, bytes], titles: dict[str, str], variant: str) -> None:
    """A store as `data/images/recipes` or `data/synthetic`."""
    table = pd.DataFrame({"file": images, "split": "train"}).assign(file=lambda f: f.index + ".png").sort_index()
    samples = (Sample(id, f"{id}.png", images[id], 32, 32) for id in sorted(images))
    write_store(folder, samples, table, keep_absent=False)
    rows = [(id, variant, title, sha256_bytes(images.get(id, b""))) for id, title in titles.items()]
    write_captions(
        folder / "captions.parquet", pd.DataFrame(rows, columns=["id", "variant", "caption", "source_sha256"])
    )


def png(number: int) -> bytes:
    return png_bytes(Image.fromarray(hq_images(0)[number].image))


def jpeg(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(hq_images(0)[number].image).save(buffer, format="JPEG", quality=80)
    return buffer.getvalue()


@pytest.fixture
def workspace(root, tmp_path, monkeypatch):
    """Forty groups with two synthetic pictures each, and everything that may be wrong with some of them."""
    names = [f"recipes-{number:05d}" for number in range(40)]
    images = {name: png(number) for number, name in enumerate(names)}
    titles = {name: f"Dish {number}" for number, name in enumerate(names)}
    images[names[5]] = images[names[2]]  # the same file
    images[names[7]] = jpeg(3)  # the same picture
    images[names[9]] = png_bytes(Image.new("RGB", (32, 32)))
    titles[names[11]] = ""
    del titles[names[12]], images[names[13]]
    made = {f"{name}-v{v}": png(100 + 2 * n + v) for n, name in enumerate(names) for v in range(2)}
    made[f"{names[20]}-v0"] = jpeg(21)  # of group 20, but group 21 again
    write_pictures(tmp_path / "data/images/recipes", images, titles, "human-0")
    write_pictures(tmp_path / "data/synthetic", made, {id: f"New {id}" for id in made}, "synthetic")
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mix(**changes):
    from stages.captioning.mix import main

    main(RunningStage(mix=mix_params(**changes)))


def test_the_stage_cleans_merges_splits_and_exports(workspace, capfd):
    mix()
    rows = pd.read_parquet("data/mixed/rows.parquet").set_index("id")
    assert read_json("metrics/mix.json") == {
        **{"train_original": 25, "train_synthetic": 52},
        **{"val_original": 5, "val_synthetic": 5, "test_original": 4, "test_synthetic": 0},  # groups 20 and 21 in val
        **{"unused": 34 + 72 - 91, "groups": 40 - 4 - 3},  # four left out, three joined with another
        **{"leaks": 0, "leaks_reference_order": 9, "test_reference_order": 9},
        **{"merged_exact": 1, "merged_near": 1, "empty_titles": 1, "images_without_title": 1},
        **{"titles_without_image": 1, "blank_images": 1, "synthetic_without_original": 8},
    }
    assert len(rows) == 91
    assert not rows.index.isin(["recipes-00005", "recipes-00007", "recipes-00009", "recipes-00011"]).any()
    kept = rows.loc["recipes-00002"]
    assert (kept["group"], kept["titles"].tolist()) == ("recipes-00002", ["Dish 2", "Dish 5"])
    assert list(pd.read_parquet("data/mixed/rows.parquet")) == ["id", "source", "group", "split", "titles"]
    assert rows.loc["recipes-00003", "titles"].tolist() == ["Dish 3", "Dish 7"]
    assert rows.loc["recipes-00005-v0", "group"] == "recipes-00002"
    assert rows.loc["recipes-00003", "split"] == "test"
    assert not rows.index.str.startswith(("recipes-00003-v", "recipes-00007-v")).any()  # relatives of a test dish
    assert set(rows.loc[["recipes-00020", "recipes-00021"], "group"]) == {"recipes-00020"}
    assert rows.loc["recipes-00021", "titles"].tolist() == ["Dish 21"]

    for name in ("train", "val", "test"):
        own = rows[rows["split"] == name]
        exported = pd.read_csv(f"data/mixed/{name}.csv")
        assert exported["Image_Name"].tolist() == [f"{id}.png" for id in own.index]
        assert exported["Title"].map(json.loads).tolist() == [titles.tolist() for titles in own["titles"]]
    printed = capfd.readouterr().out
    assert "empty titles (1): recipes-00011\n" in printed
    assert "test rows with a row of their group in train or val: 0 of 4\n" in printed
    assert "as published: 9 of 9\n" in printed


def test_the_stage_writes_the_same_bytes_again(workspace):
    mix()
    first = sha256_file("data/mixed")
    mix()
    assert sha256_file("data/mixed") == first


def test_the_stage_leaves_nothing_where_a_split_is_empty(workspace):
    with pytest.raises(DifflabError, match=r"the split test is empty: of 33 groups"):
        mix(test_fraction=0.01)
    assert not (workspace / "data/mixed").exists()

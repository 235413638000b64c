"""The stage that scores all captioners, on made-up captions."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from difflab.captioning.answer import DATA, UNTRAINED
from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, read_parquet, write_parquet
from difflab.core.base.store.captions import write_captions
from difflab.miniature.data.blend import PHOTO_NAMES
from difflab.miniature.data.digit_titles import titles
from fakes.running_stage import RunningStage

RIGHT = {
    "original": 0.9,
    "mixed": 0.7,
    "synthetic": 0.3,
    "zero_shot": 0.0,
    "instruct": 0.5,
}  # share of captions that are right
TEST = [f"recipes-{n:03d}" for n in range(24)]


def titles_of(number: int) -> tuple[str, ...]:
    return titles(number % 10, PHOTO_NAMES[number % len(PHOTO_NAMES)])


def make_workspace(recipes: bool = False) -> None:
    """The mixed rows and the captions of every captioner, in the working directory."""
    rows = [
        {"id": i, "source": "original", "group": i, "split": "test", "titles": list(titles_of(n)[: 1 + n % 3])}
        for n, i in enumerate(TEST)
    ]
    rows += [
        {"id": f"train-{n}", "source": source, "group": "g", "split": "train", "titles": ["One on Bricks"]}
        for n, source in enumerate(["original", "synthetic", "synthetic", "synthetic"])
    ]
    if recipes:
        rows[0]["titles"] = ["Miso-Butter Roast Chicken"]
    write_parquet("data/mixed/rows.parquet", pd.DataFrame(rows))
    for data in RIGHT:
        tables = []
        for seed in range(1 if data in UNTRAINED else 5):
            draw = rng.numpy_rng(0, "right", data, seed).random(len(TEST))
            captions = [titles_of(n if draw[n] < RIGHT[data] else n + 1)[3] for n in range(len(TEST))]
            tables.append(
                pd.DataFrame({"id": TEST, "variant": f"seed-{seed}", "caption": captions, "source_sha256": "0"})
            )
        write_captions(f"data/captioner/{data}.parquet", pd.concat(tables))


@pytest.fixture
def main(root, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(tmp_path)
    from stages.captioning.caption_score import main

    settings = SimpleNamespace(resamples=300, margin=0.1)
    return lambda: main(RunningStage(caption_score=settings))


def test_the_stage_scores_every_captioner_and_answers(main, capsys):
    make_workspace()
    main()
    metrics = read_json("metrics/caption_score.json")
    assert (metrics["n"], metrics["trainings"], metrics["mixed_share"]) == (24, 5, 0.75)
    for data in DATA:
        assert metrics[f"{data}_both_correct"] == pytest.approx(RIGHT[data], abs=0.15)
    assert metrics["zero_shot_both_correct"] == 0
    assert metrics["instruct_both_correct"] == pytest.approx(0.5, abs=0.15)
    assert metrics["synthetic_cider_d_difference_high"] < 0
    assert metrics["synthetic_both_correct_difference"] == pytest.approx(
        metrics["synthetic_both_correct"] - metrics["original_both_correct"]
    )
    table = pd.read_csv("plots/captioner/scores.csv")
    assert table.data.value_counts().to_dict() == dict.fromkeys(DATA, 5) | dict.fromkeys(UNTRAINED, 1)
    assert {"share", "seed", "bleu_1", "bleu_2_corpus", "meteor_exact_stem", "cider_d", "both_correct"} <= set(table)
    scored = read_parquet("data/caption_scores.parquet")
    assert len(scored) == 17 * 24
    mean = scored[(scored.data == "mixed") & (scored.seed == 3)].cider_d.mean()
    assert table.cider_d[(table.data == "mixed") & (table.seed == 3)].item() == pytest.approx(mean, rel=1e-5)
    printed = capsys.readouterr().out
    assert "Synthetic data in place of the originals changes CIDEr-D by −" in printed
    assert ": worse." in printed


def test_a_second_run_writes_the_same_bytes(main):
    make_workspace()
    files = ["data/caption_scores.parquet", "plots/captioner/scores.csv"]
    written = []
    for _ in range(2):
        main()
        written.append([Path(f).read_bytes() for f in [*files, "metrics/caption_score.json"]])
    assert written[0] == written[1]


def test_recipes_are_scored_without_digits(main):
    make_workspace(recipes=True)
    main()
    assert not [key for key in read_json("metrics/caption_score.json") if "named" in key]
    assert "both_correct" not in pd.read_csv("plots/captioner/scores.csv")


def test_captions_of_other_images_are_refused(main):
    make_workspace()
    path = "data/captioner/mixed.parquet"
    frame = read_parquet(path)
    write_captions(path, frame[(frame.id != TEST[5]) | (frame.variant != "seed-3")])
    with pytest.raises(DifflabError, match=rf"{path}, seed-3: 1 images have no caption, first {TEST[5]}"):
        main()


def test_it_depends_on_every_captioner(root, main):
    stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    assert "data/captioner" in stages["caption_score"]["deps"]
    made = [f"data/captioner/{name}.parquet" for name in UNTRAINED]
    assert [out for name in UNTRAINED for out in stages[f"captioner_{name}"]["outs"]] == made
    assert "data/captioner/${item.data}.parquet" in stages["captioner"]["outs"]
    assert stages["captioner"]["matrix"]["data"] == list(DATA)

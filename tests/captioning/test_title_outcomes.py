"""What became of titles, as tables and metrics; and the stage that varies them."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from difflab.captioning.judging import metrics, outcomes_frame, quarantine_frame, variations_frame
from difflab.captioning.params import TitlesParams
from difflab.core.base.errors import DifflabError, Interrupted
from difflab.core.base.files import read_parquet
from difflab.core.base.store.captions import COLUMNS, write_captions
from difflab.miniature.data import digit_titles
from difflab.miniature.params import ZooGemmaParams
from difflab.miniature.zoo import small_gemma
from difflab.models.language.chat_model import ChatModel
from difflab.models.title_variations import Outcome, Reason, vary
from difflab.training.params import FitParams
from fakes.face_archives import mix_params
from fakes.running_stage import RunningStage

LIMITS = {"retries": 2, "max_length": 60}


def settings(**changes) -> TitlesParams:
    values = {"batch_size": 4, "max_new_tokens": 48, "do_sample": True, "temperature": 0.7, "top_p": 0.9}
    return TitlesParams(**{**values, "retries": 2, "max_length": 60, **changes})


def test_no_titles_have_no_outcomes():
    frame = outcomes_frame([])
    assert list(variations_frame(frame)) == ["id", "number", "title"]
    assert list(quarantine_frame(frame)) == ["id", "title", "reason", "answer"]
    assert metrics(frame) == {
        "n": 0, "varied": 0, "quarantined": 0, "retried": 0, "faithful": 0, "distinct": 0
    }  # fmt: skip


def test_tables_and_metrics_of_a_worked_example():
    outcomes = [
        Outcome("a", "Three over Coffee", ("A Three on Coffee", "Coffee and Three", "A Four on Coffee"), "", 1),
        Outcome("b", "Two over a Cat", Reason.FEW, "1. Two\nwith, a comma", 4),
        Outcome("c", "Lemon Cake", ("Lemon Pie", "Cake with Lemon", "Sour Tart"), "", 2),
    ]
    frame = outcomes_frame(outcomes)
    assert variations_frame(frame).to_numpy().tolist() == [
        ["a", 0, "A Three on Coffee"],
        ["a", 1, "Coffee and Three"],
        ["a", 2, "A Four on Coffee"],
        ["c", 0, "Lemon Pie"],
        ["c", 1, "Cake with Lemon"],
        ["c", 2, "Sour Tart"],
    ]
    assert quarantine_frame(frame).to_numpy().tolist() == [
        ["b", "Two over a Cat", "fewer than three", "1. Two\nwith, a comma"]
    ]
    assert metrics(frame) == {
        "n": 3,
        "varied": 2,
        "quarantined": 1,
        "retried": 2,
        "faithful": pytest.approx(3 / 6),
        "distinct": pytest.approx((7 / 8 + 4 / 4) / 2),
    }


def test_retries_of_a_greedy_model_are_refused():
    with pytest.raises(ValueError, match="retries repeat a greedy answer"):
        settings(do_sample=False)
    assert settings(do_sample=False, retries=0).retries == 0


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Titles of pictures, and a Gemma that has learnt just enough to write lists."""
    from difflab.training.supervised import fit

    folder = tmp_path_factory.mktemp("study")
    training = FitParams(
        steps=60, batch_size=8, learning_rate=1e-2, weight_decay=0, warmup_steps=5, max_grad_norm=1,
        checkpoint_interval=60, log_interval=60,
    )  # fmt: skip
    params = ZooGemmaParams(hub=None, hidden_size=32, num_hidden_layers=1, evaluated=1, training=training)
    model, tokenizer = small_gemma.build(params, seed=0)
    fit(model, small_gemma.batch_loss(model, tokenizer, params, 0), training, scratch=folder / "fit")
    model.save_pretrained(folder / "models/zoo/gemma")
    tokenizer.save_pretrained(folder / "models/zoo/gemma")
    rows = [
        (f"recipes-{i:05d}", f"human-{k}", title, "")
        for i in range(40)
        for k, title in enumerate(digit_titles.titles(i % 10, "Coffee")[:2])
    ]
    write_captions(folder / "data/images/recipes/captions.parquet", pd.DataFrame(rows, columns=list(COLUMNS)))
    return folder


def running(folder: Path) -> RunningStage:
    return RunningStage(folder, titles=settings(batch_size=1), mix=mix_params())


@pytest.fixture
def stage_main(root, workspace, monkeypatch):
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(workspace)
    from stages.captioning.vary_titles import main

    return main


def outputs() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path("data/titles").iterdir())}


def test_the_stage_varies_the_first_title_of_each_picture_or_says_why_not(stage_main, tmp_path):
    stage = running(tmp_path)
    stage_main(stage)
    varied = read_parquet("data/titles/variations.parquet")
    refused = pd.read_csv("data/titles/quarantine.csv")
    assert stage.metrics["n"] == 36 == stage.metrics["varied"] + stage.metrics["quarantined"]
    assert len(varied) == 3 * stage.metrics["varied"] > 0
    assert varied.groupby("id")["number"].apply(list).map(lambda n: n == [0, 1, 2]).all()
    assert len(refused) == stage.metrics["quarantined"]
    asked = set(varied["id"]) | set(refused["id"])
    assert len(asked) == 36  # the others are test dishes
    assert asked < {f"recipes-{i:05d}" for i in range(40)}
    assert set(refused["reason"]) <= set(Reason)
    plain = {f"recipes-{i:05d}": digit_titles.titles(i % 10, "Coffee")[0] for i in range(40)}
    assert all(plain[row.id] == row.title for row in refused.itertuples())


def test_a_killed_stage_goes_on_and_gives_the_same(stage_main, tmp_path, monkeypatch):
    stage_main(running(tmp_path / "whole"))
    expected = outputs()
    original, calls = vary, []

    def die_in_the_third_chunk(*args, **limits):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*args, **limits)

    monkeypatch.setattr("stages.captioning.vary_titles.vary", die_in_the_third_chunk)
    with pytest.raises(Interrupted):
        stage_main(running(tmp_path / "killed"))
    stage_main(running(tmp_path / "killed"))
    assert len(calls) == 4  # of three chunks; the first two were kept
    assert outputs() == expected


def test_variations_do_not_depend_on_the_batch(workspace):
    model = ChatModel(workspace / "models/zoo/gemma", "cpu", torch.float32)
    asked = {f"recipes-{i:05d}": digit_titles.titles(i % 10, "Cat")[i % 7] for i in range(12)}
    together = vary(model, asked, settings(batch_size=12), seed=0, **LIMITS)
    assert vary(model, asked, settings(batch_size=1), seed=0, **LIMITS) == together
    assert vary(model, dict(reversed(asked.items())), settings(), seed=0, **LIMITS) == together[::-1]
    assert vary(model, asked, settings(), seed=1, **LIMITS) != together


def test_a_missing_table_of_titles_is_one_line(stage_main, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DifflabError, match=r"captions\.parquet is missing"):
        stage_main(running(tmp_path))

"""The charts of the blocks show the tables that they are made from."""

import pandas as pd
import pytest

from difflab.core.base.files import read_json
from difflab.report import block_figures, figures
from difflab.report.findings import blocks as findings
from difflab.report.study_tables import blocks, blocks_tuned
from difflab.report.summary import part, summarise
from fakes.block_results import write_block_inputs

MEANS = {"minus": -0.5, "zero": 0.0, "plus": 0.5}


@pytest.fixture
def study(tmp_path):
    write_block_inputs(tmp_path)
    return tmp_path


@pytest.fixture
def numbers(study):
    return part(summarise(MEANS, {"convention": "diffusers", "shift": 3.0}, False, study), "blocks")


def read(study, name):
    return pd.read_csv(study / f"plots/blocks/{name}.csv", dtype={"blocks": str})


def heights(axis):
    return [bar.get_height() for bar in axis.patches]


def test_effects_have_a_column_for_each_way_and_a_row_for_each_measure(study):
    found = read(study, "effects")
    figure = block_figures.effects(found, read(study, "ranks"))
    assert [axis.get_title() for axis in figure.axes[:4]] == ["mean ablation", "bypass", "text off", "patches apart"]
    own = found[(found["way"] == "bypass") & (found["measure"] == "loss")]
    assert heights(figure.axes[1]) == pytest.approx(own["effect"].tolist())
    assert [text.get_text() for text in figure.axes[1].texts] == ["2", "1", "3"]
    digits = found[(found["way"] == "mean") & (found["measure"] == "digit_accuracy")]
    assert heights(figure.axes[8]) == pytest.approx((100 * digits["effect"]).tolist())
    figures.plt.close(figure)


def test_agreement_is_symmetric_and_says_its_interval(study):
    figure = block_figures.agreement(read(study, "agreement"))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) == 12
    assert "+1.00\n+1.00\nto +1.00" in texts
    figures.plt.close(figure)


def test_bars_of_tuning_are_the_mean_gains_of_the_best_random_and_worst(study):
    table = read(study, "tuning")
    figure = block_figures.tuning(table, {"mean_verdict": "predicts"})
    gains = table.groupby("blocks")["gain"].mean()
    assert heights(figure.axes[0]) == pytest.approx([gains["1"], gains.mean(), gains["0"]])
    assert figure.axes[0].get_title() == "mean ablation:\npredicts"
    figures.plt.close(figure)


def test_by_sigma_has_a_line_for_each_block(study):
    figure = block_figures.by_sigma(read(study, "effects"))
    lines = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 5]
    assert [line.get_label() for line in lines] == ["block 0", "block 1", "block 2"]
    figures.plt.close(figure)


def test_the_tables_hold_rank_and_verdict(study, numbers):
    assert "[1]" in blocks(numbers).splitlines()[3]
    assert blocks_tuned(numbers).count("predicts") + blocks_tuned(numbers).count("misleads") >= 2
    assert read_json(study / "metrics/tune_blocks.json")["mean_verdict"] == "predicts"


def test_the_findings_are_those_of_the_numbers(numbers):
    first, differ, told = findings(numbers)
    assert first.startswith("**Which block matters most depends on how it is taken away**: mean ablation 1, bypass 1, ")
    assert "text off 2" in first
    assert "bypass and text off most (Kendall's τ −0.33)" in differ
    assert told.startswith("**Not every ranking predicts**")
    assert "mean ablation: predicts" in told
    assert findings({}) == []

"""The report's part on captioning."""

from pathlib import Path

import pytest

from difflab.captioning import answer
from difflab.core.base.files import write_json
from difflab.report import captioning_report, style
from difflab.report.document import Bullets, Picture, Section, Table, Text, to_html, to_markdown
from difflab.report.inputs import Inputs
from difflab.report.published import published
from fakes.captioning_results import images, runs, write_caption_inputs


@pytest.fixture(scope="module")
def metrics():
    scores = images(["bleu_1", "bleu_2", "rouge_l", "meteor_exact_stem", "cider_d", "both_correct"])
    return answer.summarise(scores, runs(scores), seed=0, resamples=200)


def picture(name, caption, draw):
    """A picture of the light page only, in the working directory."""
    path = Path(f"{name}.png")
    style.render(draw, style.LIGHT, path)
    return Picture(path, caption)


def test_the_published_figures_are_those_of_the_reference():
    models = published()["captioning"]["models"]
    figures = [[m["bleu_1"], m["bleu_2"], m["rouge_l"], m["meteor"]] for m in models]
    assert figures == [[0.11, 0.02, 0.13, 0.10], [0.10, 0.01, 0.22, 0.20]]


def test_every_measure_has_a_row_with_ours_and_the_published_values(metrics):
    table = captioning_report.results_table(metrics)
    assert table.header[:6] == ["measure", *captioning_report.DATA_NAMES.values()]
    rows = {row[0]: row[1:] for row in table.rows}
    assert {len(row) for row in table.rows} == {len(table.header)} == {8}
    assert rows["share of synthetic data"] == ["0 %", "75 %", "100 %", "–", "–", "–", "–"]
    assert rows["METEOR (exact, stem)"][-2:] == ["0.10", "0.20"]
    assert rows["CIDEr-D"][-2:] == ["–", "–"]
    assert rows["BLEU-1"][0] == f"{metrics['original_bleu_1']:.3f} ± {metrics['original_bleu_1_std']:.3f}"
    untrained = [f"{metrics[f'{data}_bleu_1_corpus']:.3f}" for data in ("zero_shot", "instruct")]
    assert rows["BLEU-1 of the corpus"][3:5] == untrained  # one run each: no deviation


def test_what_was_not_trained_has_a_column_and_no_difference(metrics):
    columns = captioning_report.results_table(metrics).header[4:6]
    assert columns == ["not trained", "instruction model, other titles"]
    assert not set(columns) & set(captioning_report.differences_table(metrics).header)


def test_scores_from_before_the_instruction_model_leave_its_column_empty(metrics):
    older = {key: value for key, value in metrics.items() if not key.startswith("instruct")}
    assert {row[5] for row in captioning_report.results_table(older).rows} == {"–"}


def test_the_differences_stand_with_interval_and_verdict(metrics):
    table = captioning_report.differences_table(metrics)
    row = next(row for row in table.rows if row[0] == "CIDEr-D")
    assert row[2:] == [
        answer.with_interval(metrics, "mixed", "cider_d"), "better",
        answer.with_interval(metrics, "synthetic", "cider_d"), "worse",
    ]  # fmt: skip
    assert row[2].startswith("+0.")
    assert row[4].startswith("−0.")


def test_the_part_has_the_sentences_the_tables_and_the_picture(tmp_path, monkeypatch, metrics):
    monkeypatch.chdir(tmp_path)
    write_caption_inputs(tmp_path)
    write_json(tmp_path / "metrics/caption_score.json", metrics)
    write_json(tmp_path / "metrics/zoo_vision_encoder.json", {"trained": 0})
    inputs = Inputs(tmp_path)
    blocks = captioning_report.blocks(inputs, picture)
    assert blocks[0] == Bullets(answer.sentences(metrics))
    assert [type(b) for b in blocks if isinstance(b, Table | Picture)] == [Picture, Table, Table, Picture]
    section = [Section("Does synthetic data help captioning?", blocks)]
    assert "<strong>better</strong>" in to_html("x", section)
    assert "± " in to_markdown("x", section, tmp_path)
    assert inputs.missing == {}


def test_the_leaks_stand_beside_those_of_the_reference(tmp_path, monkeypatch, metrics):
    monkeypatch.chdir(tmp_path)
    write_caption_inputs(tmp_path)
    write_json(tmp_path / "metrics/caption_score.json", metrics)
    (text, *_) = [
        block for block in captioning_report.blocks(Inputs(tmp_path), picture) if isinstance(block, Text)
    ]
    assert "variations of 478 of 480 titles (2 in quarantine)" in text.text
    assert "relative in training or validation: 0. " in text.text
    assert "it would be 191 of 191." in text.text


def test_an_encoder_trained_here_is_said_to_know_the_digits(tmp_path):
    write_caption_inputs(tmp_path)
    for trained in (0, 1):
        write_json(tmp_path / "metrics/zoo_vision_encoder.json", {"trained": trained})
        text = captioning_report.training_data(Inputs(tmp_path))[0].text
        assert ("encoder learnt classes" in text) == bool(trained)


def test_the_readme_has_the_answer_and_the_table(metrics):
    text = captioning_report.results_text(
        {f"caption_score_{k}": v for k, v in metrics.items()} | {"best_fid": 1.0}
    )
    for sentence in answer.sentences(metrics):
        assert f"- {sentence}\n" in text
    assert "| CIDEr-D |" in text
    assert captioning_report.results_text({"best_fid": 1.0}) == ""


def test_without_scores_there_is_nothing_but_a_note_of_the_stage(tmp_path):
    inputs = Inputs(tmp_path)
    assert captioning_report.blocks(inputs, picture) == []
    assert inputs.missing == {"metrics/caption_score.json": "caption_score"}

"""The report, its tables and sentences, and metrics/summary.json."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from difflab.core.base.files import png_bytes, write_bytes
from difflab.report import report, style, tables, verdicts
from difflab.report.document import Bullets, Picture, to_html, to_markdown
from difflab.report.inputs import Inputs
from difflab.report.summary import summarise
from fakes.study_results import write_inputs

MEANS = {"minus": -0.5, "zero": 0.0, "plus": 0.5}
DENSITY = {"convention": "diffusers", "shift": 3.0}


def summary_of(root: Path, density=DENSITY, comparable: bool = False) -> dict[str, float]:
    return summarise(Inputs(root), MEANS, density, comparable)


def build(root: Path, plots: Path) -> tuple[Inputs, list]:
    inputs = Inputs(root)
    summary = summarise(inputs, MEANS, DENSITY, False)
    study = report.Study("tiny", "diffusers", 1.0, plots / "light", plots / "dark")
    return inputs, report.build(inputs, summary, study)


@pytest.fixture
def quick(monkeypatch):
    """Figures are drawn but saved as one pixel; test_figures.py looks at the saved ones."""

    def render(draw, theme, path):
        style.plt.close(draw(theme))
        write_bytes(path, png_bytes(Image.new("RGB", (1, 1))))

    monkeypatch.setattr(style, "render", render)


@pytest.fixture
def root(tmp_path) -> Path:
    write_inputs(tmp_path)
    return tmp_path


def test_the_summary_is_flat_finite_and_holds_every_stage(root):
    summary = summary_of(root)
    assert all(isinstance(v, int | float) and v == v for v in summary.values())
    assert summary["minus_blip2_fid"] == 8.5
    assert summary["caption_llama3_digit_accuracy"] == 0.97
    assert summary["finetune_blip2_minus_val_loss"] == 0.6
    assert "finetune_blip2_minus_note" not in summary


def test_the_summary_names_the_headlines_of_the_study(root):
    summary = summary_of(root)
    assert summary["best_fid"] == 7.5
    assert summary["largest_fid_ratio_to_pretrained"] == pytest.approx(9.5 / 61.5)
    assert summary["lowest_fine_tuned_digit_accuracy"] == pytest.approx(0.955)


def test_the_table_stands_beside_the_published_one(root):
    rows = tables.results_table(summary_of(root)).splitlines()
    assert rows[2] == "| pretrained | 60.5 ± 0.7 | 61.5 ± 0.7 | 80.0 | 88.2 |"
    assert rows[3] == "| m = −0.5 | 8.50 ± 0.71 | 9.50 ± 0.71 | 24.3 | 31.1 |"
    assert rows[5] == "| m = 0.5 | 8.00 ± 0.71 | 9.00 ± 0.71 | 32.0 | 31.6 |"
    assert rows[6] == "| real images (floor) | 2.50 | 2.50 | – | – |"


def test_on_sigma_the_published_columns_change_places(root):
    rows = tables.results_table(summary_of(root, {"convention": "sigma", "shift": 3.0})).splitlines()
    assert rows[3].endswith("| 32.0 | 31.6 |")
    assert rows[5].endswith("| 24.3 | 31.1 |")


def test_a_miniature_says_that_its_values_do_not_compare(root):
    assert "do **not** compare" in tables.results_table(summary_of(root))
    assert "do **not** compare" not in tables.results_table(summary_of(root, comparable=True))


def test_the_table_says_n_seeds_and_dimension(root):
    note = tables.table_note(summary_of(root))
    assert "150 generated images" in note
    assert "2 generation seeds (mean ± standard deviation)" in note
    assert "96-dimensional" in note


def test_the_median_sigma_of_each_column_is_shown(root):
    rows = tables.density_table(summary_of(root)).rows
    assert rows[0] == ["m = −0.5", "0.5", "0.832", "more noise"]
    assert rows[1] == ["m = 0", "0", "0.750", "in between"]
    assert rows[2] == ["m = 0.5", "−0.5", "0.645", "less noise"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(61.04, "61.0"), (8.9, "8.90"), (0.4125, "0.412"), (123.4, "123"), (-0.02, "−0.0200")],
)
def test_numbers_have_three_digits(value, text):
    assert tables.number(value) == text


def test_a_difference_within_the_spread_is_not_called_established(root):
    summary = summary_of(root)
    assert "not established" in verdicts.which_mean(summary, "blip2")
    apart = summary | {"zero_blip2_fid": 2.0}
    assert "exceeds the spread" in verdicts.which_mean(apart, "blip2")
    one_seed = {k: v for k, v in apart.items() if not k.endswith("_std")}
    assert "one generation seed" in verdicts.which_mean(one_seed, "blip2")


def test_a_cell_that_got_worse_is_said():
    assert "does not help everywhere" in verdicts.fine_tuning({"largest_fid_ratio_to_pretrained": 1.2})


def test_the_report_has_all_sections_and_pictures(root, tmp_path):
    inputs, sections = build(root, tmp_path / "figures")
    assert not inputs.missing
    assert [s.title for s in sections] == [
        "What this is", "Results", "What it answers", "Before and after", "Training", "Sigma densities",
        "Guidance and steps", "Captions, models and data", "How the scores were made", "Denoising", "The DDPM series",
        "What appears first", "Do samples copy training images?", "Cold diffusion",
            "Does synthetic data help captioning?", "Options of sampling",
    ]  # fmt: skip
    study = sections[:9]  # test_ladder_report.py looks at the others
    pictures = [b.path.name for s in study for b in s.blocks if isinstance(b, Picture)]
    assert sorted(p for p in pictures if "-" not in p) == [
        "fid_by_cell.png", "guidance_curve.png", "loss.png", "loss_by_sigma.png", "real.png",
        "sigma_densities.png", "step_curve.png",
    ]  # fmt: skip
    assert len([p for p in pictures if "-" in p]) == 8


def test_the_report_is_the_same_bytes_every_time(quick, root, tmp_path):
    pages = []
    for name in ("one", "two"):
        _, sections = build(root, tmp_path / name)
        pages.append(to_html(report.TITLE, sections))
    assert pages[0] == pages[1]


def test_without_any_input_the_report_says_what_to_run(quick, tmp_path):
    inputs, sections = build(tmp_path, tmp_path / "figures")
    text = to_markdown(report.TITLE, sections, tmp_path)
    assert "No scores yet: run `dvc repro score`." in text
    assert "`plots/finetune/blip2-minus.csv` is missing: run `dvc repro finetune@blip2-minus`" in text
    assert "`plots/grids/pretrained-blip2.png` is missing: run `dvc repro generate_pretrained`" in text
    assert len(inputs.missing) > 30


@pytest.mark.parametrize(
    "gone", ["plots/score.csv", "metrics/score.json", "plots/step_curve.csv", "plots/finetune/blip2-zero.csv"]
)
def test_one_absent_input_is_listed_and_the_rest_is_there(quick, root, tmp_path, gone):
    (root / gone).unlink()
    _, sections = build(root, tmp_path / "figures")
    assert sections[-1].title == "Missing inputs"
    (lines,) = (b.items for b in sections[-1].blocks if isinstance(b, Bullets))
    assert any(line.startswith(f"`{gone}` is missing") for line in lines)
    assert {"Before and after", "Sigma densities"} <= {s.title for s in sections}


def test_the_report_imports_no_heavy_library(root):
    heavy = "{'torch', 'transformers', 'diffusers', 'mlflow', 'peft'} & set(sys.modules)"
    code = f"import sys, difflab.report.report, difflab.report.summary; print(*{heavy})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""

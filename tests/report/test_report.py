"""The report: all that was found stands in it, and what does not exist is left out and listed."""

import copy
import platform
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from difflab.captioning import answer
from difflab.core.base.files import png_bytes, read_json, write_bytes, write_csv, write_json
from difflab.core.params import Declared, declared_groups, load_params
from difflab.core.params.base import dotted
from difflab.report import figures, report
from difflab.report.summary import metrics_file, summarise
from fakes.study_results import write_inputs

TITLES = [
    "Findings", "Stable Diffusion 3 with LoRA", "Which blocks matter", "Attention", "Denoising", "DDPM series",
    "Process analysis", "Memorisation", "Cold diffusion", "Captioning with synthetic data", "Few images", "How it was made",
]  # fmt: skip


PIXEL = png_bytes(Image.new("RGB", (1, 1)))


@pytest.fixture(scope="module")
def values(root):
    """What the stage sees: the whole file."""
    groups = declared_groups("report", {}, str(root / "dvc.yaml"))
    return Declared(load_params(root / "params.yaml"), "report", groups).as_dict()


@pytest.fixture
def params(values):
    return copy.deepcopy(values)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """Inputs of a finished study, to be copied."""
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder)
    return folder


def drawn_as_a_pixel(draw, path):
    """A figure that is drawn, and saved as one pixel: test_figures.py looks at real ones."""
    figures.plt.close(draw())
    write_bytes(path, PIXEL)


@pytest.fixture
def study(inputs, tmp_path, monkeypatch) -> Path:
    """Inputs of a finished study."""
    monkeypatch.setattr(figures, "render", drawn_as_a_pixel)
    shutil.copytree(inputs, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def undrawn(study, monkeypatch) -> Path:
    """The same for what the text alone says: figures are there, and nobody draws them."""
    monkeypatch.setattr(figures, "render", lambda draw, path: write_bytes(path, PIXEL))
    return study


@pytest.fixture(scope="module")
def whole(values, inputs, tmp_path_factory) -> str:
    """The report on all inputs."""
    folder = shutil.copytree(inputs, tmp_path_factory.mktemp("whole"), dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "render", drawn_as_a_pixel)
        return written(folder, copy.deepcopy(values))


def written(folder: Path, params, comparable: bool = False) -> str:
    density = params["finetune"]["density"]
    summary = summarise(params["logit_mean"], density, comparable, folder)
    drawn = folder / "plots/report"
    missing = figures.draw(summary, drawn, density["logit_std"], density["convention"], folder)
    return report.write(summary, params, missing, folder)


def titles(text: str) -> list[str]:
    return re.findall(r"^## (.+)", text, re.M)


def test_every_study_has_its_findings_tables_and_pictures(study, params):
    text = written(study, params)
    assert titles(text) == TITLES
    assert text.count("\n### [") == 10  # a group of findings for each study
    pictures = re.findall(r"!\[[^\]]*\]\(\.\./([^)]+)\)", text)
    assert len(pictures) == len(set(pictures)) > 25
    assert all((study / path).is_file() for path in pictures)
    assert not re.search(r"\{\w+|\bnan\b|\bNone\b", text)


def test_values_of_a_miniature_are_not_said_to_compare(undrawn, params):
    assert "do **not** compare" in written(undrawn, params)
    assert "do **not** compare" not in written(undrawn, params, comparable=True)


@pytest.mark.parametrize(("convention", "same"), [("diffusers", True), ("sigma", False)])
def test_the_sign_of_the_published_m_is_compared_with_this_run(undrawn, params, convention, same):
    params["finetune"]["density"]["convention"] = convention
    text = written(undrawn, params)
    assert ("Both use the same sign of m." in text, "m has the opposite sign" in text) == (same, not same)


def test_the_deciding_values_stand_with_the_machine_and_its_versions(undrawn, params):
    text = written(undrawn, params)
    assert f"| SD3 LoRA | LoRA rank {params['finetune']['lora']['rank']}; LoRA alpha = rank; " in text
    assert f"torch {version('torch')}" in text
    assert f"Python {platform.python_version()}; " in text


def test_every_parameter_that_the_template_shows_is_declared(root, params):
    """A line whose parameter is missing would be dropped without a word."""
    shown = re.findall(r"\{params\[([^]]+)\]", (root / "src/difflab/report/template.md").read_text())
    assert len(shown) > 30
    assert set(shown) - dotted(params).keys() == set()


def test_of_a_table_only_the_rows_without_numbers_are_left_out(undrawn, params):
    measure = "| `images_celeba_hq_present` |"
    assert measure not in written(undrawn, params)
    write_json(undrawn / metrics_file("prepare_celeba_hq"), {"present": 30000})
    assert f"{measure} 3e+04 |" in written(undrawn, params)
    assert "| measure | value |" in written(undrawn, params)
    for path in (undrawn / "metrics").rglob("*.json"):
        path.unlink()
    assert "| measure | value |" not in written(undrawn, params)


def test_leaks_stand_beside_those_of_the_reference(undrawn, params):
    text = written(undrawn, params)
    assert "variations of 478 of 480 titles (2 in quarantine)" in text
    assert "relative in training or validation: 0. " in text
    assert "it would be 191 of 191." in text


def test_a_vision_encoder_trained_here_is_said_to_know_the_digits(undrawn, params):
    for trained in (0, 1):
        write_json(undrawn / metrics_file("zoo_vision_encoder"), {"trained": trained})
        assert ("vision encoder learnt classes" in written(undrawn, params)) == bool(trained)


def test_parts_of_networks_are_listed_without_shapes_where_there_are_none(undrawn, params):
    rows = [line for line in written(undrawn, params).splitlines() if "Conv2d" in line]
    assert rows[0].replace("\N{NO-BREAK SPACE}", " ") == (
        "| by class | in | Conv2d | 3×32×32 | 16×32×32 | 123,456 | 25.0 % |"
    )
    assert "| Conv2d |  |" in rows[1]


def test_without_any_input_the_report_says_what_is_missing(tmp_path, params):
    text = written(tmp_path, params)
    assert titles(text) == ["Stable Diffusion 3 with LoRA", "How it was made", "Missing inputs"]
    assert "`plots/finetune/blip2-minus.csv`: `dvc repro` makes it" in text
    assert "`plots/grids/denoise.png`: `dvc repro` makes it" in text


@pytest.mark.parametrize(
    ("gone", "title"),
    [
        ("metrics/denoise_score.json", "Denoising"),
        ("metrics/caption_score.json", "Captioning with synthetic data"),
        ("plots/step_curve.csv", "Stable Diffusion 3 with LoRA"),
        ("plots/blocks/tuning.csv", "Which blocks matter"),
        ("plots/cold/mask.png", "Cold diffusion"),
        ("plots/anatomy.csv", "Process analysis"),
    ],
)
def test_one_absent_input_changes_its_own_section_only(study, params, whole, gone, title):
    def sections(text: str) -> dict[str, str]:
        return {part.split("\n")[0]: part for part in text.split("\n## ")[1:]}

    (study / gone).unlink()
    before, rest = sections(whole), sections(written(study, params))
    changed = {name for name in before if rest.get(name, "").strip() != before[name].strip()}
    assert title in changed
    assert changed <= {title, "Findings"}


def test_the_headline_is_the_table_and_a_finding_of_three_studies(study, params):
    summary = summarise(params["logit_mean"], params["finetune"]["density"], False, study)
    text = report.headline_text(summary)
    assert text.count("\n- ") == 3
    assert "| pretrained (given) | 60.5" in text
    everything = report.results_text(summary)
    captions = read_json(study / metrics_file("caption_score"))
    assert all(sentence in everything for sentence in answer.sentences(captions))
    assert everything.count("| --- |") == 16


def test_the_report_imports_no_heavy_library():
    heavy = "{'torch', 'transformers', 'diffusers', 'mlflow', 'peft'} & set(sys.modules)"
    code = f"import sys, difflab.report.report, difflab.report.figures; print(*{heavy})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""


def test_the_published_design_is_said_and_its_curves_are_drawn(study, params):
    for mean in params["logit_mean"]:
        curve = study / f"plots/finetune/blip2-{mean}.csv"
        curve.rename(curve.with_name(f"both-{mean}.csv"))
    assert "random kind of caption for each sample" not in written(study, params)
    params["trained_on"] = {"blip2": "both", "llama3": "both"}
    text = written(study, params)
    assert "random kind of caption for each sample" in text
    density, drawn = params["finetune"]["density"], study / "drawn"
    summary = summarise(params["logit_mean"], density, False, study, trained_on=["both", "both"])
    missing = figures.draw(summary, drawn, density["logit_std"], density["convention"], study, ["both", "both"])
    assert not [path for path in missing if path.startswith("plots/finetune")]
    assert (drawn / "loss.png").is_file()


@pytest.mark.parametrize("captions", [["", "", "", ""], ["nan", "2.5", "", "None"]])
def test_prompts_are_texts_whatever_they_say(study, params, captions):
    prompts = pd.DataFrame({"id": list("abcd"), "blip2": captions, "llama3": captions})
    write_csv(study / "data/scores/prompts.csv", prompts)
    written(study, params)
    assert (study / "plots/report/before_after_blip2.png").is_file()

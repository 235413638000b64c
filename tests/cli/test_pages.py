"""The diagrams of docs/graphs.md say what dvc.yaml says, the results in README.md what metrics/summary.json says."""

import re
from pathlib import Path

import pytest

from difflab.cli.pages import ANSWERS, BEGIN, END, REFERENCES, answered, graphs, read_summary, refreshed
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import write_json
from difflab.core.params.loading import read_pipeline

MEANS = {"sd3_minus_logit_mean": -0.5, "sd3_zero_logit_mean": 0.0, "sd3_plus_logit_mean": 0.5}
SUMMARY = {
    "sd3_n": 150, "sd3_seeds": 1, "sd3_dim": 96, "sd3_comparable_with_published": 0, "sd3_best_fid": 9.0,
    "sd3_largest_fid_ratio_to_pretrained": 0.25, "sd3_pretrained_blip2_fid": 81.25, **MEANS,
}  # fmt: skip
PIPELINE = """
stages:
  prepare:
    desc: Prepare two sets
    matrix: {dataset: [a, b]}
    cmd: python -m stages.images.prepare --dataset ${item.dataset}
    outs: ['data/${item.dataset}']
  train:
    foreach:
      one: {data: data/a}
    do:
      desc: Train on a set
      cmd: python -m stages.ddpm.train --setting ${key}
      deps: ['${item.data}', src/difflab/ddpm]
      outs: ['models/${key}']
  look:
    desc: Look at one of them
    cmd: python -m stages.ddpm.look
    deps: ['models/${look.setting}']
"""


@pytest.fixture
def pipeline(tmp_path):
    path = tmp_path / "dvc.yaml"
    path.write_text(PIPELINE)
    return str(path)


def test_arrows_follow_paths_through_cells_and_parameters(pipeline):
    text = graphs(pipeline)
    assert re.findall(r"  (\w+ --> \w+)", text) == ["prepare --> train", "train --> look"]
    assert '  prepare["prepare x 2"]' in text
    assert "  class prepare other" in text, "a stage of another study is dashed"
    assert "| `train` | Train on a set |" in text


def test_a_stage_of_an_unknown_study_is_named(tmp_path):
    path = tmp_path / "dvc.yaml"
    path.write_text("stages: {x: {desc: d, cmd: python -m stages.new.x}}")
    with pytest.raises(DifflabError, match="stages/new is no known study"):
        graphs(str(path))


@pytest.mark.parametrize("cmd", ["echo a", "[echo a, echo b]"])
def test_a_stage_without_a_script_is_named(tmp_path, cmd):
    path = tmp_path / "dvc.yaml"
    path.write_text(f"stages: {{x: {{desc: d, cmd: {cmd}}}}}")
    with pytest.raises(DifflabError, match="runs no `python -m stages"):
        graphs(str(path))


def test_a_stage_without_a_command_is_damage(tmp_path):
    path = tmp_path / "dvc.yaml"
    path.write_text("stages: {x: {desc: d}}")
    with pytest.raises(DifflabError, match=r"damaged .stage 'x'.*git diff dvc.yaml"):
        graphs(str(path))


def test_every_stage_of_the_project_stands_on_the_page(root):
    text = graphs(str(root / "dvc.yaml"))
    stages = read_pipeline(str(root / "dvc.yaml"))["stages"]
    assert [name for name in stages if f"| `{name}` |" not in text] == []
    assert "  finetune --> generate\n" in text
    assert "  prepare_images --> ddpm\n" in text


@pytest.fixture
def summary(tmp_path):
    write_json(tmp_path / "summary.json", SUMMARY)
    return tmp_path / "summary.json"


def test_the_table_and_the_finding_are_those_of_the_summary(summary):
    text = refreshed(f"{BEGIN}\n{END}", summary)
    assert "| pretrained (given) | 81.2 | – | 80.0 | 88.2 |" in text
    assert "\n- SD3 LoRA: **Fine-tuning brings the samples nearer" in text
    assert "to at most 25 %" in text
    assert "FID of 150 generated images, 96-dimensional features. One training of each cell: no interval." in text


def test_only_what_stands_between_the_markers_changes(summary):
    text = f"# Title\n\n{BEGIN}\nold\n{END}\n\nEnd.\n"
    new = refreshed(text, summary)
    assert new.startswith(f"# Title\n\n{BEGIN}\n")
    assert new.endswith(f"\n{END}\n\nEnd.\n")
    assert "old" not in new
    assert refreshed(new, summary) == new


@pytest.mark.parametrize("text", ["no markers", f"{END} then {BEGIN}", BEGIN])
def test_missing_markers_are_an_error(summary, text):
    with pytest.raises(DifflabError, match="lacks the lines"):
        refreshed(text, summary)


def test_no_results_is_one_line(tmp_path):
    with pytest.raises(DifflabError, match="run `dvc repro`"):
        read_summary(tmp_path / "summary.json")


@pytest.mark.parametrize("text", ['{"a": NaN}', "[1]", '{"a": "b"}', '{"a"', ""])
def test_a_damaged_summary_is_named_with_the_remedy(tmp_path, text):
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(DifflabError, match=r"summary.json (is damaged|\().*: `git (restore|checkout)`? "):
        read_summary(tmp_path / "summary.json")


def test_the_references_are_answered_between_their_markers(summary):
    text = answered(f"# References\n\n{ANSWERS}\nold\n{END}\nEnd.\n", summary)
    assert "old" not in text
    assert text.endswith(f"\n{END}\nEnd.\n")
    with pytest.raises(DifflabError, match=r"docs/references\.md lacks the lines"):
        answered("# References", summary)


def test_the_pages_of_the_repository_have_their_markers(root):
    for page, mark in (("README.md", BEGIN), (REFERENCES, ANSWERS)):
        text = (root / page).read_text()
        assert text.count(mark) == text.count(END) == 1


def test_links_lead_to_files_or_to_outputs_of_the_pipeline(root):
    pipeline = (root / "dvc.yaml").read_text()
    for page in (root / "README.md", *(root / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                place = (page.parent / target).resolve()
                assert place.exists() or Path(target).parent.as_posix() in pipeline, f"{page.name}: {target}"


def test_files_and_names_that_the_pages_speak_of_exist(root):
    folders = ("src", "stages", "tests", "bench", "conf", "docs")
    files = {path.relative_to(root).as_posix() for folder in folders for path in (root / folder).rglob("*.*")}
    for page in (root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").glob("*.md")):
        text = page.read_text()
        for name in re.findall(r"`([\w./-]+\.(?:py|yaml|css))`", text):
            assert (root / name).exists() or any(file.endswith(f"/{name}") for file in files), f"{page.name}: {name}"
        for name in re.findall(r"`(difflab(?:\.\w+)+)`", text):
            place, last = root / "src" / name.replace(".", "/"), name.rpartition(".")[2]
            module = place.parent.with_suffix(".py")
            defined = module.exists() and re.search(rf"^(def |class )?{last}\b", module.read_text(), re.M)
            assert place.is_dir() or place.with_suffix(".py").exists() or defined, f"{page.name}: {name}"

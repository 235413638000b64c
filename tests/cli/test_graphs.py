"""The diagrams of docs/graphs.md say what dvc.yaml says."""

import re

import pytest

from difflab.cli import graphs
from difflab.core.base.errors import DifflabError
from difflab.core.params.loading import read_pipeline

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
    text = graphs.page(pipeline)
    assert re.findall(r"  (\w+ --> \w+)", text) == ["prepare --> train", "train --> look"]
    assert '  prepare["prepare x 2"]' in text
    assert "  class prepare other" in text, "a stage of another study is dashed"
    assert "| `train` | Train on a set |" in text


def test_a_stage_of_an_unknown_study_is_named(tmp_path):
    path = tmp_path / "dvc.yaml"
    path.write_text("stages: {x: {desc: d, cmd: python -m stages.new.x}}")
    with pytest.raises(DifflabError, match="stages/new is no known study"):
        graphs.page(str(path))


def test_every_stage_of_the_project_stands_on_the_page(root):
    text = graphs.page(str(root / "dvc.yaml"))
    stages = read_pipeline(str(root / "dvc.yaml"))["stages"]
    assert [name for name in stages if f"| `{name}` |" not in text] == []
    assert "  finetune --> generate\n" in text
    assert "  prepare_images --> ddpm\n" in text


def test_a_stale_page_is_found(pipeline, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    assert "run `difflab graphs`" in graphs.write(check=True)
    assert graphs.write(check=False) is None
    assert graphs.write(check=True) is None
    graphs.PAGE.write_text("something else")
    assert "docs/graphs.md is not what dvc.yaml gives" in graphs.write(check=True)

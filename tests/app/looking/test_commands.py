"""The command line of each view writes the very bytes that the view's buttons give."""

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from difflab.app.looking import commands, work
from difflab.app.looking.visit import exported
from difflab.cli.adapter_report import adapters, chart_png, drift_tensors, drifts
from difflab.cli.blocks import read_ranking
from difflab.cli.main import cli
from difflab.cli.sampling import Request
from difflab.cli.side_by_side import sheet_png, tensor_bytes
from difflab.sd3.pipeline import study_components

from .conftest import A, B


def run(line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "difflab"
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, (line, result.output, result.exception)


def files(folder: Path, name: str) -> tuple[bytes, bytes]:
    return (folder / f"{name}.png").read_bytes(), (folder / f"{name}.safetensors").read_bytes()


@pytest.mark.parametrize("chosen", [("sd3",), (A,), ("sd3", A), ("sd3", A, B)])
def test_generate(models, tmp_path, chosen):
    request = Request(
        "-three 'over' a \"cat\"", negative_prompt="dark", guidance_scale=2.5, num_inference_steps=2, seed=7
    )
    made = work.side_by_side(models, request, chosen, work.Run(4)).pictures
    for name, content in (("sheet.png", sheet_png(made)), ("sheet.safetensors", tensor_bytes(made))):
        run(commands.generate_command(request, chosen, str(tmp_path / name)))
        assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"words": ("three",), "prompt": 0},
        {
            "words": ("a",),
            "prompt": 1,
            "across": True,
            "affinity": "value",
            "blocks": (1,),
            "steps": (0,),
            "heads": (1,),
        },
        {"patches": ((3, 1),), "prompt": 1, "affinity": "query", "steps": (1,)},
        {"clusters": 5, "blocks": (0,)},
    ],
    ids=["every word", "word", "across", "patch", "clusters"],
)
def test_attention_and_clusters(visit, models, tmp_path, options):
    request = visit.request(**options)
    run(commands.attention_command(request, str(tmp_path)))
    name = "clusters" if request.clusters else "attention"
    assert files(tmp_path, name) == exported(visit, request, models.params)


def test_the_ranking_of_blocks(models, tmp_path):
    run(commands.ranking_command(str(tmp_path)))
    found = read_ranking()
    assert {f"{name}.png" for name in found.figures} == {path.name for path in tmp_path.glob("*.png")}
    assert all((tmp_path / f"{name}.png").read_bytes() == png for name, png in found.figures.items())
    assert (tmp_path / "blocks.safetensors").read_bytes() == found.tensors


def test_the_drift_of_adapters(models, tmp_path, monkeypatch):
    """The command writes what `drifts` finds, as the tab shows it; the study's data, for its pictures, is not here."""
    given = []
    monkeypatch.setattr("difflab.cli.adapter_report.adapter_report", lambda *args: given.extend(args) or "")
    run(commands.drift_command([Path(A), Path(B)], str(tmp_path)))
    assert given[0] == (Path(A), Path(B))
    assert given[3] == tmp_path
    found = work.drift_of(models, given[0], work.Run(0))
    _, pipeline = models.load("transformer")
    again, _ = drifts(pipeline.transformer, adapters(given[0]), study_components())
    assert (chart_png(found), drift_tensors(found)) == (chart_png(again), drift_tensors(again))
    assert not pipeline.get_list_adapters()

"""The first stage: what params.yaml holds is refused before any other stage starts, or leaves the same bytes."""

import shutil
from pathlib import Path

import pytest
from stages.images.check_params import main

from difflab.core.base.errors import DifflabError
from fakes.running_stage import RunningStage


@pytest.fixture
def study(root, tmp_path, monkeypatch) -> RunningStage:
    monkeypatch.chdir(tmp_path)
    for folder in ("conf", "rulers"):
        shutil.copytree(root / folder, folder)
    shutil.copy(root / "params.yaml", "params.yaml")
    return RunningStage(tmp_path)


def edit(old: str, new: str) -> None:
    text = Path("params.yaml").read_text()
    assert old in text
    Path("params.yaml").write_text(text.replace(old, new, 1))


def test_the_same_is_written_whatever_the_values_are(study):
    main(study)
    written = Path("data/checked").read_bytes()
    edit("minus: -0.5", "minus: -0.75")
    main(study)
    assert Path("data/checked").read_bytes() == written


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        ("num_inference_steps: 8", "num_inference_steps: 0", "parameter 'generate.num_inference_steps'"),
        ("num_images: 100", "num_images: 12", "guidance_curve.num_images is 12, below score.min_images 100"),
        ("val_fraction: 0.1", "val_fraction: 0.2", "the committed rulers need split.val_fraction=0.1, not 0.2"),
    ],
)
def test_a_value_that_cannot_be_is_named(study, old, new, refused):
    edit(old, new)
    with pytest.raises(DifflabError, match=refused):
        main(study)
    assert not Path("data/checked").exists()

"""The stage of the vision encoder: what it trains can be committed, and is then taken as it is."""

import shutil
from types import SimpleNamespace

import pytest

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_file
from difflab.core.base.roles import ruler
from difflab.core.params import load_params
from fakes import zoo
from fakes.running_stage import RunningStage

FOLDER = "models/zoo/vision_encoder"


@pytest.fixture
def main(root, tmp_path, monkeypatch):
    """The stage's script as a function of `zoo.rulers`; it returns the metrics."""
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(tmp_path)
    from stages.miniature import zoo_vision_encoder

    split = load_params(root / "params.yaml").split
    encoder = zoo.vision_encoder(training=zoo.fit_params(steps=2, warmup_steps=1))

    def run(rulers: str) -> dict:
        stage = RunningStage(tmp_path, zoo=SimpleNamespace(rulers=rulers, vision_encoder=encoder), split=split)
        zoo_vision_encoder.main(stage)
        return stage.metrics

    return run


def test_a_trained_ruler_that_is_committed_gives_the_same_files_and_metrics(main):
    metrics, files = main("retrain"), sha256_file(FOLDER)
    assert metrics["ruler"] == ruler(FOLDER)
    shutil.copytree(FOLDER, "rulers/vision_encoder")
    shutil.rmtree("models")
    assert main("committed") == metrics
    assert sha256_file(FOLDER) == files


def test_without_a_committed_ruler_nothing_is_written(main, tmp_path):
    with pytest.raises(DifflabError, match="rulers/vision_encoder holds no ruler"):
        main("committed")
    assert not (tmp_path / FOLDER).exists()

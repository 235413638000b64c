"""Hyperparameters, processor and versions."""

from importlib.metadata import version

import pytest

from difflab.core.params import load_params
from difflab.core.params.loading import dotted
from difflab.report import made_with


@pytest.fixture
def params(root):
    return load_params(root / "params.yaml").model_dump(mode="json")


def test_every_study_has_its_deciding_values(params):
    text = made_with.hyperparameters(params)
    assert text.count("\n") == 1 + len(made_with.HYPERPARAMETERS)
    values = dotted(params)
    assert f"LoRA rank {values['finetune.lora.rank']};" in text
    assert "LoRA alpha = rank;" in text


def test_every_setting_of_the_ddpm_series_has_a_row(params):
    rows = made_with.series(params).splitlines()
    assert len(rows) == 2 + 6
    assert rows[2].startswith("| one image, 32 px | 32 | x0 |")


def test_the_machine_is_named_with_its_versions():
    text = made_with.machine()
    assert f"torch {version('torch')}" in text
    assert "Python 3." in text

"""Pinned instruction sets give the same bytes whatever the user's environment says."""

import os

import pytest

from difflab.core.base import numerics

AVX2 = pytest.mark.skipif(not numerics.has_avx2(), reason="nothing can be pinned on this processor")


@pytest.fixture
def environment(monkeypatch):
    """An environment of the user's, put back afterwards."""
    for name in numerics.PINNED:
        monkeypatch.setenv(name, "of the user")
    return lambda: {name: os.environ[name] for name in numerics.PINNED}


@AVX2
def test_pinned_overrules_the_environment(environment):
    assert numerics.pin("pinned") is None
    assert environment() == numerics.PINNED


def test_fast_leaves_it_alone(environment):
    assert numerics.pin("fast") is None
    assert set(environment().values()) == {"of the user"}


@pytest.mark.parametrize("cpuinfo", ["flags\t\t: fpu sse4_2 avx\n", "Features\t: fp asimd\n"])
def test_a_processor_without_avx2_is_told_in_one_line(tmp_path, monkeypatch, environment, cpuinfo):
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(numerics, "_CPUINFO", tmp_path / "cpuinfo")
    assert "has no AVX2" in numerics.pin("pinned")
    assert set(environment().values()) == {"of the user"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("runtime:\n  num_threads: 1\n  # about it\n\n  numerics: fast\n", "fast"),
        ("seed: 0\nruntime:\n  numerics: 'pinned'\n", "pinned"),
        ("runtime:\n  num_threads: 1\nother:\n  numerics: fast\n", "pinned"),
        ("", "pinned"),
    ],
)
def test_the_mode_is_that_of_params_yaml(tmp_path, text, expected):
    (tmp_path / "params.yaml").write_text(text)
    assert numerics.mode(tmp_path / "params.yaml") == expected


def test_without_params_yaml_numerics_are_pinned(tmp_path):
    assert numerics.mode(tmp_path / "params.yaml") == "pinned"


def test_the_study_says_what_its_parameters_say(root):
    from difflab.core.params import load_params

    assert numerics.mode(root / "params.yaml") == load_params(root / "params.yaml").runtime.numerics

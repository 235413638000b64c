"""Pinned instruction sets give the same bytes whatever the user's environment says."""

import os
import re
import subprocess
import sys

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


USERS = [{}, {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "OPENBLAS_CORETYPE": "Nehalem"}]


def table(root, mode, settings):
    """What bench/numerics.py says in a process of its own under a user's settings: hashes by operation."""
    environment = {name: value for name, value in os.environ.items() if name not in numerics.PINNED} | settings
    command = [sys.executable, str(root / "bench" / "numerics.py"), "--mode", mode]
    text = subprocess.run(command, capture_output=True, text=True, env=environment, check=False).stdout
    return dict(re.findall(r"^\| (.+?) \| `(\w{8})` \|", text, re.MULTILINE))


@AVX2
@pytest.mark.slow
def test_pinned_computes_the_same_bytes_under_every_setting_and_fast_does_not(root):
    """A setting plays another processor: products, convolutions, noise, a small training."""
    pinned, again = (table(root, "pinned", settings) for settings in USERS)
    assert pinned == again
    assert {"three training steps", "noise", "linear 64x128x768", "convolution 3x3"} <= pinned.keys()
    fast, other = (table(root, "fast", settings) for settings in USERS)
    assert fast["linear 64x128x768"] != other["linear 64x128x768"]
    assert fast["three training steps"] != other["three training steps"]


def test_the_documented_hashes_are_of_the_operations_that_are_computed(root):
    documented = re.findall(r"^\| (.+?) \| `\w{8}` \|", (root / "docs" / "numerics.md").read_text(), re.MULTILINE)
    program = (root / "bench" / "numerics.py").read_text()
    assert len(documented) > 20
    assert [name for name in documented if f'"{name}"' not in program] == ["png bytes", "jpeg bytes"]

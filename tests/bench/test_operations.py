"""bench/operations.py: what a program asks of torch is noted, computed again and compared."""

import subprocess
import sys

import pytest

PROGRAM = """
import torch

torch.nn.functional.conv2d(torch.ones(2, 3, 8, 8), torch.ones(4, 3, 3, 3)).sum()
(torch.ones(5, 7) @ torch.ones(7, 3)).exp()
"""


@pytest.fixture
def bench(root, tmp_path):
    """Run a command of it in an empty folder; returns its exit status and what it printed."""

    def run(*args):
        command = [sys.executable, str(root / "bench/operations.py"), *map(str, args)]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        return ran.returncode, ran.stdout

    (tmp_path / "program.py").write_text(PROGRAM)
    return run


def test_operations_are_noted_once_and_computed_again(bench, tmp_path):
    noted = tmp_path / "noted"
    assert bench("record", noted, "--stage", f"python -m program {tmp_path}")[0] == 0
    lines = noted.read_text().splitlines()
    assert len(lines) == len(set(lines))
    status, hashes = bench("hash", noted)
    assert status == 0
    assert {line.split("'")[1] for line in hashes.splitlines()} == {
        "aten.convolution.default", "aten.sum.default", "aten.mm.default", "aten.exp.default",
    }  # fmt: skip
    assert bench("hash", noted)[1] == hashes


def test_differences_are_named(bench, tmp_path):
    (tmp_path / "a").write_text("11111111 ('aten.mm')\n22222222 ('aten.exp')\n")
    (tmp_path / "b").write_text("11111111 ('aten.mm')\n33333333 ('aten.exp')\n44444444 ('aten.log')\n")
    assert bench("compare", "a", "a") == (0, "2 of 2 operations give the same bytes\n")
    assert bench("compare", "a", "b") == (1, "differs: ('aten.exp')\n1 of 2 operations give the same bytes\n")

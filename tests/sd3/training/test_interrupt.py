"""Ctrl-C in a real process: it stops before its last step with its state saved, and the same command goes on."""

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import sys, time
from pathlib import Path
import torch
from safetensors.torch import save_file
from fakes.flow import *
from difflab.sd3.training.density import SigmaDensity
from difflab.core.base.errors import Interrupted
from difflab.sd3.training.flow_training import train_flow

class Slow(FakeLatents):
    def sample(self, rows, keys):
        time.sleep(float(sys.argv[2]))
        print("batch", flush=True)
        return super().sample(rows, keys)

data, model = examples(10), tiny_transformer()
data.latents = Slow(data.ids)
settings = flow_settings(steps=30, batch_size=2, validation_interval=10, ema_decay=0.9, log_interval=100)
density = SigmaDensity(density_params(), 0.0)
try:
    train_flow(
        model, data, None, settings, density, seed=1, runtime=runtime(), scratch=Path(sys.argv[1]), what="toy"
    )
except Interrupted as stop:
    print(stop, file=sys.stderr)
    sys.exit(130)
save_file(dict(model.state_dict()), Path(sys.argv[1]) / "final.safetensors")
"""


def start(root, folder, pause):
    folder.mkdir(exist_ok=True)
    path = os.pathsep.join([str(root / "src"), str(root / "tests")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, str(folder), str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.fixture(scope="module")
def uninterrupted(root, tmp_path_factory):
    """The weights of a training that nobody stops."""
    folder = tmp_path_factory.mktemp("study") / "whole"
    assert start(root, folder, pause=0).communicate(timeout=300)[0].count("batch") == 30
    return (folder / "final.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_process_goes_on_bit_for_bit(root, tmp_path, number, uninterrupted):
    process = start(root, tmp_path / "parts", pause=0.2)
    for _ in range(5):
        assert process.stdout.readline() == "batch\n"
    process.send_signal(number)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert 5 + rest.count("batch") < 30
    assert "toy stopped with its state saved: run the same command to go on" in errors

    resumed = start(root, tmp_path / "parts", pause=0)
    assert resumed.communicate(timeout=300)[0].count("batch") < 30
    assert (tmp_path / "parts" / "final.safetensors").read_bytes() == uninterrupted

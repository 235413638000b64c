"""Several processes train the same model as one."""

import pytest
from safetensors.torch import load_file

from fakes.processes import launch

PROGRAM = """
import sys
from pathlib import Path

from safetensors.torch import save_file

from difflab.sd3.training.density import SigmaDensity
from difflab.core.base.runtime import process_index
from difflab.sd3.training.flow_training import train_flow
from fakes.flow import density_params, examples, flow_settings, runtime, tiny_transformer


def log(values, step):
    if "val_loss" in values:
        print("curve", step, round(values["val_loss"], 5), flush=True)


model, folder = tiny_transformer(), Path(sys.argv[1])
settings = flow_settings(steps=6, gradient_accumulation_steps=2, lr_scheduler="linear", validation_interval=3)
train_flow(
    model,
    examples(10),
    examples(5, prefix="val"),
    settings,
    SigmaDensity(density_params(), 0.0),
    seed=1,
    runtime=runtime(),
    scratch=folder,
    what="toy",
    log=log,
)
if process_index()[0] == 0:
    save_file(dict(model.state_dict()), folder / "final.safetensors")
"""


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    finals, curves = [], []
    for count in (1, 2):
        folder = tmp_path / str(count)
        folder.mkdir()
        output = launch(program, str(folder), processes=count)
        finals.append(load_file(folder / "final.safetensors"))
        curves.append([line for line in output.splitlines() if line.startswith("curve")])
    assert len(curves[0]) == 3
    assert curves[0] == curves[1]
    assert max((finals[0][n] - finals[1][n]).abs().max().item() for n in finals[0]) < 1e-6

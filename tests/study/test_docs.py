"""The commands of the documentation, run as they stand there, one block after the other."""

import itertools
import re
import shlex
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from difflab.miniature.archives.subjects import write_subjects
from difflab.models.pipelines.prompted import load_pipeline
from fakes import comfyui
from study.shell import locked, run

SETS = re.compile(r"[A-Z_]+=\S*")


def blocks(page: Path) -> list[str]:
    """The command lines of the fenced `bash` blocks, comments removed."""
    fenced = re.findall(r"^```bash\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = "".join(fenced).replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]


def follow(page: Path, folder: Path) -> dict[str, str]:
    """Run every command of a page; what each printed. A queue is waited for, as a person would.

    `NAME=VALUE` before a command is put into its environment.
    """
    printed = {}
    for command in blocks(page):
        words = shlex.split(command)
        variables = dict(word.split("=", 1) for word in itertools.takewhile(SETS.fullmatch, words))
        printed[command] = run(folder, *words[len(variables) :], **variables).stdout
        if command.startswith("dvc queue start"):
            wait_for_queue(folder)
    return printed


def wait_for_queue(folder: Path, seconds: float = 900) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = run(folder, "dvc", "queue", "status").stdout
        assert "Failed" not in status, status
        if not re.search("Queued|Running|Preparing", status):
            return
        time.sleep(2)
    pytest.fail(f"the queue did not end\n{status}")


def test_experiments(study, root):
    before = locked(study)
    printed = follow(root / "docs" / "experiments.md", study)
    columns = "dvc exp show --drop '.*' --keep 'Experiment|.*summary"
    names = ("dvc exp run -n long", "dvc params diff", "difflab compare", columns, "dvc repro", "dvc exp list")
    of = {name: next(v for k, v in printed.items() if k.startswith(name)) for name in names}
    assert set(re.findall("Running stage '([^']+)'", of["dvc exp run -n long"])) == {
        "check_params",
        "step_curve",
        "report",
    }
    assert "finetune.lora.rank" in of["dvc params diff"]
    assert "long: step_curve.num_images 8 -> 150" in of["difflab compare"]
    assert max(map(len, of[columns].splitlines())) <= 120
    assert "up to date" in of["dvc repro"]
    assert {"long", "low-rank", "rank-1", "rank-2"} <= set(re.findall(r"\[?([\w-]+)\]?$", of["dvc exp list"], re.M))
    assert "low-rank-branch" in run(study, "git", "branch").stdout
    assert (study / "dvc_plots" / "index.html").exists()
    kept = {name for name in before if locked(study)[name].get("outs") == before[name].get("outs")}
    assert {s for s in before if s.startswith(("zoo_", "finetune@", "generate"))} <= kept


@pytest.mark.long
def test_personal(study, root):
    """Nine pictures in, a file that ComfyUI reads out, which makes the pictures of the adapter itself."""
    write_subjects(study / "subjects.zip", seed=1)
    with zipfile.ZipFile(study / "subjects.zip") as archive:
        for number in range(9):
            name = f"pictures/subjects/dog/IMG_{number}.JPG"
            (study / name).parent.mkdir(parents=True, exist_ok=True)
            (study / name).write_bytes(archive.read(f"cross/{number:02d}.jpg"))
    (study / "ComfyUI/models/loras").mkdir(parents=True)
    printed = follow(root / "docs" / "personal.md", study)
    assert len(printed) == 6
    trained = next(text for command, text in printed.items() if "dvc exp run" in command)
    assert set(re.findall("Running stage '([^']+)'", trained)) == {"check_params", "acquire_images", "personal"}
    lora = load_file(study / "ComfyUI/models/loras/dog.safetensors")
    pipeline = load_pipeline(study / "models/zoo/diffusion")
    keys = comfyui.unet_keys(pipeline)
    weights = {f"unet.{name}": tensor for name, tensor in pipeline.unet.named_parameters()}
    patched, left = comfyui.patched({n: t.detach() for n, t in weights.items()}, keys, lora)
    assert not left
    assert any((patched[name] != weights[name]).any() for name in patched)
    first, again = (np.asarray(Image.open(study / f"exports/{name}.png"), int) for name in ("dog", "again"))
    assert abs(first - again).max() <= 1

"""`make rulers` in a finished study: it trains what scores anew, and the study then takes what lies in rulers/."""

import shutil

from difflab.core.base.files import read_json
from study.shell import output_hashes, run

CELL, FOLDER = "zoo_classifier", "rulers/classifier/mnist"


def test_rulers_of_other_settings_are_trained_and_then_taken(study, root):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(root / name, study / name)
    (study / ".venv").mkdir()
    for name in (".made", ".ready"):  # the programs are those of the tests
        (study / ".venv" / name).touch()
    params = (study / "params.yaml").read_text().replace("  rulers: retrain\n", "  rulers: committed\n")
    mnist = "    mnist:\n      flip: false\n      shift: "
    assert f"{mnist}2\n" in params
    params = params.replace(f"{mnist}2\n", f"{mnist}1\n")
    (study / "params.yaml").write_text(params)
    refused = run(study, "dvc", "repro", "--single-item", CELL, check=False)
    assert "rulers/classifier/cifar10 was trained with " in refused.stderr  # the first that differs from this study's

    run(study, "make", "rulers")
    assert (study / "params.yaml").read_text() == params
    assert read_json(study / FOLDER / "ruler.json")["settings"]["shift"] == 1
    trained = output_hashes(study, CELL)
    run(study, "dvc", "repro", "--single-item", CELL)
    assert "Running stage" not in run(study, "dvc", "repro", "--single-item", CELL).stdout
    assert output_hashes(study, CELL) == trained

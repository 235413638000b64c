"""The command line, run as a user runs it."""

import os
import subprocess
import sys

import pytest

from difflab.cli.main import cli


def test_help_lists_the_commands_and_imports_nothing_heavy(difflab, root):
    code, out, _ = difflab("--help")
    assert code == 0
    listed = out.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == list(cli.commands)
    assert not [line for line in listed if line.endswith("...")], "a summary is too long for a line"
    script = (
        "import sys; from difflab.cli.main import cli\n"
        "try: cli(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'pandas', 'numpy', 'hydra', 'pydantic', 'yaml') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    out = subprocess.check_output([sys.executable, "-c", script], env=environment, text=True)
    assert out.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["plan", "compose"])
def test_a_wrong_value_is_one_line_without_a_traceback(difflab, tmp_path, command):
    code, _, err = difflab(command, "-S", "profile=huge")
    assert code == 1
    assert err == "ERROR: there is no profile 'huge', only laptop, paper, smoke, tiny\n"
    code, _, err = difflab(command, "-S", "split.val_fraction=2")
    assert code == 1
    assert err.startswith("ERROR: the composed parameters: parameter 'split.val_fraction'")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "params.yaml").exists()


def test_the_shell_completes_commands_and_cells(difflab, monkeypatch):
    script = "import sys; sys.argv[0] = 'difflab'; from difflab.cli.main import main; main()"
    difflab("compose")
    monkeypatch.setenv("_DIFFLAB_COMPLETE", "bash_complete")
    for words, expected in (("difflab co", ["plain,compare", "plain,compose"]), ("difflab repro finetune@l", None)):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
        code, out, err = difflab(script=script)
        assert code == 0, err
        names = [f"plain,finetune@llama3-{m}" for m in ("minus", "plus", "zero")]
        assert sorted(out.splitlines()) == (expected or names)


@pytest.mark.parametrize("command", ["times", "repro", "plan", "doctor", "readme", "verify", "compose"])
def test_outside_a_repository_every_command_says_where_to_go(difflab, tmp_path, command):
    (tmp_path / "dvc.yaml").unlink()
    code, _, err = difflab(command)
    assert (code, err) == (1, "ERROR: there is no dvc.yaml here: run this in the root of the repository\n")

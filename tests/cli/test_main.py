"""The command line, run as a user runs it."""

import os
import shutil
import subprocess
import sys

import pytest

from difflab.cli.compose import compose
from difflab.cli.main import cli


@pytest.fixture
def difflab(root, tmp_path):
    """Run a command in a copy of the repository's configuration."""
    shutil.copytree(root / "conf", tmp_path / "conf")
    shutil.copy(root / "dvc.yaml", tmp_path)

    def difflab(*arguments, script="from difflab.cli.main import main; main()"):
        environment = {**os.environ, "PYTHONPATH": str(root / "src")}
        command = [sys.executable, "-c", script, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return difflab


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


def test_compose_writes_params_and_check_compares_them(difflab, tmp_path, root):
    code, out, _ = difflab("compose")
    assert (code, out) == (0, "wrote params.yaml\n")
    assert (tmp_path / "params.yaml").read_text() == compose(conf=root / "conf")
    assert difflab("compose", "--check")[0] == 0

    code, _, err = difflab("compose", "-S", "profile=smoke", "--check")
    assert code == 1
    assert err.startswith("ERROR: params.yaml is not what conf/ gives: run `difflab compose`\n")
    assert "\n--- params.yaml\n+++ what it should be\n" in err


def test_values_are_checked_without_being_written(difflab, tmp_path):
    difflab("compose")
    before = (tmp_path / "params.yaml").read_text()
    code, out, _ = difflab("compose", "-S", "seed=7")
    assert code == 0
    assert out.startswith("valid; params.yaml stays as it is, and would change by\n")
    assert out.splitlines()[-2:] == ["-seed: 0", "+seed: 7"]
    assert difflab("compose", "-S", "seed=0")[1] == "valid, no change\n"
    assert difflab("compose", "-S", "seed=-1")[0] == 1
    assert (tmp_path / "params.yaml").read_text() == before


def test_an_absent_params_yaml_fails_the_check(difflab):
    assert difflab("compose", "--check")[0] == 1


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


def test_plan_prints_without_writing(difflab, tmp_path):
    code, out, _ = difflab("plan", "-S", "profile=paper")
    assert code == 0
    assert out.startswith("profile paper: ")
    assert not (tmp_path / "params.yaml").exists()


@pytest.mark.parametrize("command", ["times", "results"])
def test_before_the_first_run_the_answer_is_one_line(difflab, command):
    code, _, err = difflab(command)
    assert code == 1
    assert err.startswith("ERROR: ")
    assert len(err.splitlines()) == 1


def test_readme_is_refreshed_and_checked(difflab, tmp_path):
    from cli.test_pages import SUMMARY
    from difflab.cli.pages import BEGIN, END
    from difflab.core.base.files import write_json

    (tmp_path / "README.md").write_text(f"# A\n{BEGIN}\n{END}\n")
    write_json(tmp_path / "metrics" / "summary.json", SUMMARY)
    code, _, err = difflab("readme", "--check")
    assert code == 1
    assert "run `difflab readme`" in err
    assert difflab("readme")[0] == 0
    assert "81.2" in (tmp_path / "README.md").read_text()
    assert difflab("readme", "--check")[0] == 0


def test_a_stale_page_of_graphs_is_found(difflab):
    difflab("compose")
    code, _, err = difflab("graphs", "--check")
    assert code == 1
    assert err.startswith("ERROR: docs/graphs.md is not what dvc.yaml gives: run `difflab graphs`\n")
    assert difflab("graphs")[1] == "wrote docs/graphs.md\n"
    assert difflab("graphs", "--check")[0] == 0


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

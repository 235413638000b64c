"""The state folder of a stage, and the fingerprint of what it depends on that names it."""

import re
import subprocess
import sys

import pytest
import yaml

from fakes.small_stages import PRINT


def test_scratch_stays_after_a_failure_and_goes_after_success(repo):
    repo.write("demo", '(stage.scratch() / "state").write_text("half")\nraise ValueError')
    assert repo.run("demo")[0] == 1
    (folder,) = repo.scratch()
    assert (folder / "state").read_text() == "half"
    resumed = '(stage.scratch() / "state").write_text("done")'
    repo.write("demo", '(stage.scratch() / "state").write_text("half")\nraise ValueError')  # the same code
    assert repo.run("demo")[0] == 1
    assert repo.scratch() == [folder]
    repo.write("demo", resumed)  # other code, other state
    assert repo.run("demo")[0] == 0
    assert repo.scratch() == [folder]


def test_the_fingerprint_follows_everything_the_stage_depends_on(repo):
    def fingerprint():
        code, out, err = repo.run("demo")
        assert code == 0, err
        return out.strip()

    repo.write("demo", PRINT)
    first = fingerprint()
    assert fingerprint() == first

    params = repo.folder / "params.yaml"
    text = params.read_text()
    params.write_text(text.replace("min_side: ", "min_side: 1"))  # prepare is not declared
    assert fingerprint() == first
    params.write_text(re.sub(r"(?m)^seed: 0$", "seed: 1", text))
    other_seed = fingerprint()
    params.write_text(text)
    (repo.folder / "data" / "input.txt").write_text("changed")
    other_input = fingerprint()
    (repo.folder / "data" / "input.txt").write_text("input")
    repo.write("demo", PRINT + "  # other code")
    assert len({first, other_seed, other_input, fingerprint()}) == 4


def test_what_is_kept_stays_for_other_values_of_the_parameter_that_lists_it(repo):
    repo.write("demo", 'stage.scratch()\nprint(stage.kept("seed"), len(list(stage.kept("seed").iterdir())))\n'
               '(stage.kept("seed") / str(stage.params.seed)).touch()')  # fmt: skip
    params = repo.folder / "params.yaml"
    text = params.read_text()

    def kept():
        code, out, err = repo.run("demo")
        assert code == 0, err
        return out.splitlines()[0].split()

    folder, none = kept()
    params.write_text(re.sub(r"(?m)^seed: 0$", "seed: 1", text))
    assert (none, kept()) == ("0", [folder, "1"])
    assert [path.name for path in repo.scratch()] == [folder.rpartition("/")[2]]
    (repo.folder / "data" / "input.txt").write_text("changed")
    assert kept()[0] != folder


def test_under_dvc_the_hashes_of_outputs_come_from_the_lock(repo):
    repo.write("demo", PRINT)
    lock = {"stages": {"make": {"outs": [{"path": "data/input.txt", "md5": "a" * 32}]}}}
    (repo.folder / "dvc.lock").write_text(yaml.safe_dump(lock))
    repo.environment["DVC_STAGE"] = "demo"
    before = repo.run("demo")[1]
    (repo.folder / "data" / "input.txt").unlink()
    assert repo.run("demo")[1] == before


def test_a_missing_input_says_how_to_make_it(repo):
    repo.write("demo", PRINT)
    (repo.folder / "data" / "input.txt").unlink()
    code, _, err = repo.run("demo")
    assert code == 1
    assert err == "ERROR demo: data/input.txt is missing: run `dvc repro` (or `dvc pull`) to make it\n"


@pytest.mark.parametrize("damaged", ["stages: {a", "[1]", "stages: [1]", "stages: {make: {outs: [{md5: 1}]}}"])
def test_a_damaged_lock_is_named_with_its_remedy(repo, damaged):
    repo.write("demo", PRINT)
    (repo.folder / "dvc.lock").write_text(damaged)
    repo.environment["DVC_STAGE"] = "demo"
    assert repo.run("demo")[::2] == (1, "ERROR demo: dvc.lock is damaged: `git checkout dvc.lock` brings it back\n")


@pytest.mark.parametrize(("held", "limit", "read"), [(0.5, 20, "whole"), (20, 0.2, "ha")])
def test_a_file_that_dvc_rewrites_is_read_between_two_writes(tmp_path, held, limit, read):
    """With DVC's own lock class in another process; a command that holds the lock for long is not waited for."""
    from difflab.core.base import stage

    script = (
        "import sys, time; from pathlib import Path; from dvc.lock import Lock\n"
        "with Lock('lock'):\n"
        "    Path('dvc.lock').write_text('ha'); print(flush=True); time.sleep(float(sys.argv[1]))\n"
        "    Path('dvc.lock').write_text('whole')"
    )
    command = [sys.executable, "-c", script, str(held)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        assert stage._read_alone(tmp_path / "dvc.lock", tmp_path / "lock", limit) == read
        writer.kill()

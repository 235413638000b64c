"""Commands that read results, run as a user runs them."""


def test_before_the_first_run_the_answer_is_one_line(difflab):
    code, _, err = difflab("results")
    assert code == 1
    assert err.startswith("ERROR: ")
    assert len(err.splitlines()) == 1

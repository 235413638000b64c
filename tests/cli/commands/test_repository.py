"""Commands that write files of the repository, or check them, run as a user runs them."""

from difflab.cli.compose import compose


def test_compose_writes_params_and_check_compares_them(difflab, tmp_path, root):
    code, out, _ = difflab("compose")
    assert (code, out) == (0, "wrote params.yaml\n")
    assert (tmp_path / "params.yaml").read_text() == compose(conf=root / "conf")
    assert difflab("compose", "--check")[0] == 0

    code, _, err = difflab("compose", "-S", "profile=smoke", "--check")
    assert code == 1
    assert err.startswith("--- params.yaml\n+++ what it should be\n")
    assert err.endswith("\nERROR: params.yaml is not what conf/ gives: run `difflab compose`\n")


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
    assert err.endswith("\nERROR: docs/graphs.md is not what dvc.yaml gives: run `difflab graphs`\n")
    assert difflab("graphs")[1] == "wrote docs/graphs.md\n"
    assert difflab("graphs", "--check")[0] == 0

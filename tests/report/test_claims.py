"""The claims of README and report: each verdict is computed from the committed numbers."""

import pytest

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json
from difflab.core.params.loading import addresses
from difflab.report.claims import Claim, claims_table, find, known_findings, read, record, repeated
from difflab.report.summary import PREFIXES, metrics_file, prefixed

SUMMARY = {
    "a": 5.0,
    "a_low": 4.0,
    "a_high": 6.0,
    "b": 9.0,
    "b_low": 8.0,
    "b_high": 10.0,
    "c": 1.0,
    "said_verdict": "equal",
}


def claim(**values) -> Claim:
    return Claim(
        **{"statement": "S", "stage": "score", "metrics": ["a"], "verdict": "holds", "command": "run"} | values
    )


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ({"below": "b"}, "holds"),  # 4 apart, the intervals add up to 1.41
        ({"above": "b"}, "fails"),
        ({"below": 5.5}, "open"),
        ({"below": 6.5}, "holds"),
        ({"below": "b", "times": 0.5}, "open"),
        ({"metrics": ["a", "b"], "above": 4.5}, "open"),  # the one that holds least decides
        ({"above": [3.5, "b"]}, "fails"),
        ({"metrics": ["c"], "below": 2}, "open"),  # no interval
        ({"metrics": ["c"], "below": 2, "exact": True}, "holds"),
        ({"metrics": ["c"], "above": 2, "exact": True}, "fails"),
        ({"metrics": ["said_verdict"], "says": "equal"}, "holds"),
        ({"metrics": ["said_verdict"], "says": "better"}, "fails"),
    ],
)
def test_verdicts(values, verdict):
    assert find(claim(**values), SUMMARY).verdict == verdict


def test_a_claim_whose_number_is_absent_is_one_line():
    found, absent = known_findings([claim(below="b"), claim(metrics=["gone"], below=1)], SUMMARY)
    assert len(found) == 1
    assert absent == ["claim 'S': there is no number gone: run `run`"]


def test_the_table_shows_what_decides_and_what_is_not_as_stated():
    text = claims_table([find(claim(above="b"), SUMMARY)])
    assert "| S | **fails, stated: holds** | – | `a 5.00 ± 1 > 9.00 ± 1` | `run` |" in text
    assert claims_table([]) == ""


@pytest.mark.parametrize(
    ("verdicts", "told"),
    [
        ({}, "–"),
        ({"one": "holds", "two": "holds"}, "the same"),
        ({"one": "open", "two": "holds", "three": "fails"}, "**open** (one), **fails** (three)"),
    ],
)
def test_the_table_shows_what_whole_runs_elsewhere_say_otherwise(verdicts, told):
    assert repeated(claim(below="b", repeated=verdicts)) == told


def test_a_run_elsewhere_is_noted_beside_what_is_stated(tmp_path):
    path = tmp_path / "claims.yaml"
    first, second = ({"statement": s, "stage": "s", "command": "c"} for s in ("First.", "Second."))
    entries = [first | {"metrics": ["a"], "below": "b"}, second | {"metrics": ["gone"], "below": 1}]
    lines = "".join(
        f"- statement: {e['statement']}\n  stage: s\n  metrics: {e['metrics']}\n  below: {e['below']}\n"
        "  verdict: open\n  command: c  # as written\n"
        for e in entries
    )
    path.write_text(f"# head\n\n{lines}")
    for name in ("one", "two", "one"):  # a name twice counts once
        record(name, known_findings(read(path), SUMMARY)[0], path)
    assert [found.repeated for found in read(path)] == [{"one": "holds", "two": "holds"}, {}]
    kept = [line for line in path.read_text().splitlines(keepends=True) if not line.startswith("  repeated")]
    assert "".join(kept) == f"# head\n\n{lines}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {statement: S}", "claim 1: it lacks stage, metrics, verdict, command"),
        ("- one", "claim 1: it lacks names"),
        ("a: 1", "no list of claims"),
        ("- {statement: S, stage: s, metrics: [a], verdict: holds, command: c}", "one of above, below and says"),
        ("- {statement: S, stage: s, metrics: [a], verdict: sure, command: c, above: 1}", "its verdict is 'sure'"),
        (
            "- {statement: S, stage: s, metrics: [a], verdict: holds, command: c, abov: 1}",
            "'abov' .* did you mean 'above'",
        ),
        (
            "- {statement: S, stage: s, metrics: [a], verdict: holds, command: c, above: 1, repeated: {one: maybe}}",
            "its verdict is 'maybe'",
        ),
        (
            "- {statement: S, stage: s, metrics: [a], verdict: holds, command: c, above: 1, repeated: open}",
            "'repeated' gives no verdict to a name",
        ),
    ],
)
def test_a_malformed_claim_is_one_line(tmp_path, text, message):
    (tmp_path / "claims.yaml").write_text(text)
    with pytest.raises(DifflabError, match=message):
        read(tmp_path / "claims.yaml")


def test_a_file_that_cannot_be_read_names_what_brings_it_back(tmp_path):
    path = tmp_path / "claims.yaml"
    with pytest.raises(DifflabError, match=r"is missing; `git restore .*claims.yaml` brings it back"):
        read(path)
    path.write_bytes(b"- {statement: \xff}")
    with pytest.raises(DifflabError, match=r"claims.yaml is not UTF-8 .*`git restore .*claims.yaml`"):
        read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(DifflabError, match=r"claims.yaml is a folder: move it away"):
        read(path)


def claims_of(root):
    return read(root / "claims.yaml")


def test_every_claim_names_a_stage_and_the_command_that_makes_it(root):
    for one in claims_of(root):
        assert one.stage in addresses(str(root / "dvc.yaml"))
        assert one.command == f"difflab repro {one.stage}"
        assert all(metric.startswith(PREFIXES[one.stage]) for metric in one.metrics)


@pytest.mark.parametrize("position", range(18))
def test_the_committed_numbers_give_the_stated_verdict(root, position):
    one = claims_of(root)[position]
    summary = prefixed(one.stage, read_json(root / metrics_file(one.stage)))
    (found, *_), absent = known_findings([one], summary)
    assert not absent
    assert found.as_stated, found


def test_every_claim_is_tested(root):
    assert len(claims_of(root)) == 27

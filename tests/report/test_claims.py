"""The claims of README and report: each verdict is computed from the committed numbers."""

import pytest

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json
from difflab.core.params.loading import addresses
from difflab.report.claims import Claim, claims_table, find, known_findings, read
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
    assert "| S | **fails, stated: holds** | `a 5.00 ± 1 > 9.00 ± 1` | `run` |" in text
    assert claims_table([]) == ""


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
    ],
)
def test_a_malformed_claim_is_one_line(tmp_path, text, message):
    (tmp_path / "claims.yaml").write_text(text)
    with pytest.raises(DifflabError, match=message):
        read(tmp_path / "claims.yaml")


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

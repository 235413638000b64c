"""What a rehearsal says of its stages."""

import json

import pytest

from difflab.rehearsal.performance import FAILED, RAN, WAITED, Performed, error_of, performed, table
from difflab.rehearsal.workspace import Workspace


@pytest.fixture
def place(tmp_path):
    times = tmp_path / "repository/.scratch/times"
    times.mkdir(parents=True)
    for stage, status in (("acquire@coco", "FINISHED"), ("score", "FAILED"), ("report", "FINISHED")):
        (times / f"{stage}.json").write_text(json.dumps({"seconds": 2.5, "status": status, "host_gb": 1.25}))
    return Workspace(tmp_path)


def test_each_stage_has_its_outcome_seconds_and_memory(place):
    rows = performed(place, ["acquire@coco", "score", "report", "cold@blur"], {"score": FAILED, "report": WAITED})
    assert rows == [
        Performed("acquire@coco", RAN, 2.5, 1.25, None),
        Performed("score", FAILED, 2.5, 1.25, None),
        Performed("report", WAITED, None, None, None),  # what an earlier run took is no news
        Performed("cold@blur", WAITED, None, None, None),
    ]


def test_the_table_adds_seconds_and_takes_the_largest_memory():
    text = table(
        [Performed("a", RAN, 1.0, 0.5, 3.0), Performed("bb", RAN, 2.0, 0.75, None), Performed("c", WAITED, *[None] * 3)]
    )
    head, *lines, last = text.splitlines()
    assert head.split() == ["stage", "seconds", "host", "GB", "GPU", "GB"]
    assert [line.split()[0] for line in lines] == ["a", "bb", "c"]
    assert lines[2].endswith("not started")
    assert last.split()[-3:] == ["3.0", "0.75", "3.00"]


def test_the_line_of_an_error_is_found(tmp_path):
    log = tmp_path / "log"
    log.write_text(
        "ERROR cold: another stage's\nscore: half way\nERROR score: 2 images have no 3. nearest neighbours\n"
        "ERROR: failed to reproduce 'score': failed to run\n"
    )
    assert error_of("score", log) == "ERROR score: 2 images have no 3. nearest neighbours"
    log.write_text("Traceback (most recent call last):\n  File x\nValueError: shapes differ\nmore\n")
    assert error_of("ddpm@text", log) == "ValueError: shapes differ"
    log.write_text("nothing\n")
    assert "see the log" in error_of("score", log)

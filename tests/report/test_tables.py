"""Tables by description, and how numbers are shown."""

import pytest

from difflab.report.markdown import table
from difflab.report.tables import Column, beside, described, number, percent, plain, spread

FOUND = {"a_fid": 8.5, "a_fid_std": 0.71, "b_fid": 61.04, "a_share": 0.955, "a_share_std": 0.005}


def test_a_markdown_table_keeps_its_columns():
    assert table(["a", "b"], [["x|y", "1"]]).splitlines() == ["| a | b |", "| --- | ---: |", "| x\\|y | 1 |"]


def test_rows_without_a_value_are_left_out():
    columns = [Column("FID", "{}_fid", spread()), Column("share", "{}_share", percent())]
    rows = described("model", {"a": "A", "b": "B", "c": "C"}, columns, FOUND).splitlines()
    assert rows[0] == "| model | FID | share |"
    assert rows[2:] == ["| A | 8.50 ± 0.71 | 95.5 % ± 0.5 |", "| B | 61.0 | – |"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(61.04, "61.0"), (8.9, "8.90"), (0.4125, "0.412"), (123.4, "123"), (-0.02, "−0.0200"), (0, "0.00")],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("show", "text"),
    [
        (spread(1000), "8500 ± 710"),
        (beside("_std", 1), "8.5 ± 0.7"),
        (beside("_ci95", 2), "8.50"),
        (plain("{:g} dB"), "8.5 dB"),
        (percent(0), "850 % ± 71"),
    ],
)
def test_a_value_is_shown_with_what_stands_beside_it(show, text):
    assert show(FOUND, "a_fid") == text
    assert show(FOUND, "absent") == "–"

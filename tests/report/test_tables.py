"""Tables by description, and how numbers are shown."""

import pytest

from difflab.report.tables import described, number, table, value

FOUND = {
    "a_fid": 8.5, "a_fid_low": 7.79, "a_fid_high": 9.21, "b_fid": 61.04,
    "a_share": 0.955, "a_share_low": 0.95, "a_share_high": 0.96, "a_in_b": 1.0,
}  # fmt: skip


def test_a_markdown_table_keeps_its_columns():
    assert table(["a", "b"], [["x|y", "1"]]).splitlines() == ["| a | b |", "| --- | ---: |", "| x\\|y | 1 |"]


def test_rows_without_a_value_are_left_out():
    columns = {"FID": ("{}_fid", value()), "share": ("{}_share", value(1, 100, " %"))}
    rows = described("model", {"a": "A", "b": "B", "c": "C"}, columns, FOUND).splitlines()
    assert rows[0] == "| model | FID | share |"
    assert rows[2:] == ["| A | 8.50 ± 0.71 | 95.5 % ± 0.5 |", "| B | 61.0 | – |"]


def test_the_key_of_a_row_may_have_parts():
    assert described("x", {"a/b": "A"}, {"in": ("{}_in_{}", value(1))}, FOUND).endswith("| A | 1.0 |")


@pytest.mark.parametrize(
    ("value", "text"),
    [(61.04, "61.0"), (8.9, "8.90"), (0.4125, "0.412"), (123.4, "123"), (-0.02, "−0.0200"), (0, "0.00")],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("show", "text"),
    [
        (value(scale=1000), "8500 ± 710"),
        (value(1), "8.5 ± 0.7"),
        (value(1, unit=" dB"), "8.5 dB ± 0.7"),
        (value(0, 100, " %"), "850 % ± 71"),
    ],
)
def test_a_value_is_shown_with_what_stands_beside_it(show, text):
    assert show(FOUND, "a_fid") == text
    assert show(FOUND, "absent") == "–"

"""What the report says of attention is what was scored: sentences, table and figure against numbers made by hand."""

import pytest

from difflab.attention import looks
from difflab.report import attention, figures
from difflab.sd3.artifacts.cells import ADAPTERS
from fakes.attention_results import table

COLOURS = dict(zip(ADAPTERS, ("#111111", "#222222", "#333333", "#444444"), strict=True))
FOUND = {
    "digit_best_block": 1.0,
    "digit_pretrained_pointing_accuracy": 0.5, "digit_minus_pointing_accuracy": 0.61,
    "digit_zero_pointing_accuracy": 0.72, "digit_plus_pointing_accuracy": 0.83,
    "digit_chance_pointing_accuracy": 0.125, "digit_prior_pointing_accuracy": 0.25,
}  # fmt: skip


def changed(**ends):
    """With the change of each fine-tuned model, 0.1, and the ends of its interval."""
    changes = {}
    for model, (low, high) in ends.items():
        key = f"digit_{model}_pointing_accuracy_change"
        changes |= {key: 0.1, f"{key}_low": low, f"{key}_high": high}
    return FOUND | changes


@pytest.fixture
def found():
    """The metrics of a study, and its table."""
    rows = table()
    levels = {f"digit_{n}_pointing_accuracy": share for n, share in (("chance", 0.3), ("prior", 0.4))}
    return looks.summarise(rows) | levels, rows


def test_nothing_is_said_of_what_was_not_scored():
    assert attention.parts({}) == []
    assert attention.sentences({}) == []
    assert attention.scores_table({}) == ""


def test_the_first_sentence_holds_every_share():
    (said,) = attention.sentences(FOUND)
    for words in ("for the digit", "in block 1:", "50.0 % of pictures before", "61.0 %, 72.0 %, 83.0 % after"):
        assert words in said
    assert "random in 12.5 %" in said
    assert "other pictures in 25.0 %" in said


@pytest.mark.parametrize(
    ("ends", "known"),
    [
        ({"minus": (0.05, 0.15), "zero": (-0.05, 0.25), "plus": (-0.3, -0.1)}, "clear for minus, plus."),
        ({"minus": (0.0, 0.2), "zero": (-0.1, 0.3), "plus": (-0.1, 0.3)}, "not clear of zero for any."),
    ],
)
def test_a_change_is_clear_where_its_interval_leaves_zero_out(ends, known):
    _, said = attention.sentences(changed(**ends))
    assert said.endswith(known)


def test_changes_of_some_models_alone_are_not_compared():
    assert len(attention.sentences(changed(minus=(0.1, 0.2), zero=(0.1, 0.2)))) == 1


def test_the_table_has_every_model_in_every_block_and_what_needs_no_network(found):
    numbers, _ = found
    header, _, *rows = attention.scores_table(numbers).splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [cell.strip() for cell in header.strip("|").split("|")][:3] == ["part", "model", "block"]
    assert len(cells) == len(ADAPTERS) * 3 + 2
    assert [row[1] for row in cells[-2:]] == ["a patch at random", "mean mask of other pictures"]
    assert [row[2] for row in cells if row[2].endswith("(chosen)")] == ["1 (chosen)"] * len(ADAPTERS)
    (base,) = (row for row in cells if row[1:3] == ["base", "1 (chosen)"])
    share = numbers["digit_pretrained_block_1_pointing_accuracy"]
    assert base[3].startswith(f"{100 * share:.1f} %")


def test_the_figure_shows_the_numbers_by_block_and_the_curve_of_the_chosen_block_by_noise(found):
    numbers, rows = found
    figure = attention.figure(numbers, rows, COLOURS)
    left, right = figure.axes
    drawn = sorted(float(line.get_ydata()[0]) for bars in left.containers for line in [bars.lines[0]])
    keys = [f"digit_{m}_block_{b}_pointing_accuracy" for m in ADAPTERS for b in range(3)]
    assert drawn == pytest.approx(sorted(100 * numbers[key] for key in keys))
    curves = [line for line in right.lines if len(line.get_xdata()) == 2 and line.get_marker() == "o"]
    assert [line.get_color() for line in curves] == list(COLOURS.values())
    scored = rows[(rows.half == "score") & (rows.block == 1) & (rows.model == "minus")]
    expected = scored[scored.sigma.notna()].groupby("sigma").pointing_accuracy.mean()
    assert list(curves[1].get_xdata()) == [0.5, 0.9]
    assert curves[1].get_ydata() == pytest.approx((100 * expected).tolist())
    assert right.get_title() == "block 1 (chosen)"
    levels = {round(float(line.get_ydata()[0]), 6) for line in right.lines if line.get_linestyle() in ("--", ":")}
    assert levels == {30.0, 40.0}
    figures.plt.close(figure)

"""Means over trainings with pooled intervals, verdicts on drift, and prompts that were trained."""

import numpy as np
import pytest
from scipy import stats

from difflab.core.base.errors import DifflabError
from difflab.metrics.uncertainty.intervals import mean_interval, pooled_spread
from difflab.personal.cells import Cell, picture_cells, steps_are_measured, table_cells
from difflab.personal.outcomes import check_prompts, prior_effects, table


def of(*drifts):
    return [{"drift_kid": drift, "similarity": 0.5} for drift in drifts]


CELLS = {"lora_none": of(0.5, 0.6, 0.55), "lora_images": of(0.2, 0.24, 0.22), "lora_output": of(0.21, 0.23, 0.22)}


def test_intervals_are_pooled_over_the_cells():
    metrics = table(CELLS)
    drifts = {name: [t["drift_kid"] for t in values] for name, values in CELLS.items()}
    low, high = mean_interval(0.55, 3, pooled_spread(drifts, "relative"))
    assert metrics["lora_none_drift_kid"] == pytest.approx(0.55)
    assert (metrics["lora_none_drift_kid_low"], metrics["lora_none_drift_kid_high"]) == pytest.approx((low, high))
    assert metrics["drift_kid_freedom"] == 6
    assert not any("subject_accuracy" in name for name in metrics), "no training has it"


def test_the_interval_of_a_drift_grows_with_the_drift():
    """Ten times the drift of every training is ten times the interval, whatever other cells drift by."""
    small = {name: [t["drift_kid"] for t in values] for name, values in CELLS.items()}
    metrics = table(CELLS | {f"{name}_tenfold": of(*(10 * d for d in drifts)) for name, drifts in small.items()})
    for name in CELLS:
        one, ten = (
            [metrics[f"{c}_drift_kid{end}"] for end in ("_low", "", "_high")] for c in (name, f"{name}_tenfold")
        )
        assert ten == pytest.approx([10 * value for value in one])
    assert metrics["drift_kid_relative_spread"] > 0


def test_what_leaves_the_class_word_says_nothing_of_the_spread():
    """The noise of KID around 0: its share of the mean is anything, and its mean may be negative."""
    still = {"base": of(0.001, -0.004, 0.001), "textual_inversion_none": of(0.002, 0.0, -0.001)}
    with_them, without = table(CELLS | still), table(CELLS)
    assert {name: value for name, value in with_them.items() if "drift" in name and name in without} == {
        name: value for name, value in without.items() if "drift" in name
    }
    assert with_them["base_drift_kid"] == pytest.approx(-0.002 / 3)
    assert "base_drift_kid_low" not in with_them


def test_tables_of_one_study_keep_their_spreads_apart():
    both = table(CELLS) | table({"3": CELLS["lora_none"], "5": CELLS["lora_images"]}, "pictures_")
    assert (both["drift_kid_freedom"], both["pictures_drift_kid_freedom"]) == (6, 4)
    assert both["pictures_3_drift_kid"] == both["lora_none_drift_kid"]


def test_a_prior_is_measured_by_the_differences_of_pairs():
    """Beside scipy's paired test; methods drift by unlike amounts, which pairs do not see."""
    cells = CELLS | {"full_none": of(2.5, 2.1, 2.3), "full_images": of(2.18, 1.72, 1.98)}
    found = prior_effects(cells, margin=0.1)
    with_prior, without = (np.array([t["drift_kid"] for n in names for t in cells[n]]) for names in (
        ("lora_images", "full_images"), ("lora_none", "full_none")
    ))  # fmt: skip
    theirs = stats.ttest_rel(with_prior, without).confidence_interval()
    ours = found["images_none_drift_difference_low"], found["images_none_drift_difference_high"]
    assert ours == pytest.approx((theirs.low, theirs.high))
    assert found["images_none_drift_difference"] == pytest.approx((with_prior - without).mean())
    assert found["images_none_drift_verdict"] == "better"
    turned = prior_effects({"lora_none": CELLS["lora_images"], "lora_images": CELLS["lora_none"]}, margin=0.1)
    assert turned["images_none_drift_verdict"] == "worse"


@pytest.mark.parametrize(("drifts", "verdict"), [((0.21, 0.23, 0.22), "equal"), ((0.5, 0.0, 0.3), "open")])
def test_priors_that_drift_as_much_are_equal_or_open(drifts, verdict):
    found = prior_effects({"lora_none": CELLS["lora_images"], "lora_output": of(*drifts)}, margin=0.1)
    assert found["output_none_drift_verdict"] == verdict


def test_one_pair_says_nothing_of_a_prior():
    assert prior_effects({name: values[:1] for name, values in CELLS.items()}, 0.1) == {}


def test_what_was_not_judged_says_nothing_of_a_prior():
    unjudged = {name: [{"diversity": 0.5} for _ in values] for name, values in CELLS.items()}
    assert prior_effects(unjudged, 0.1) == {}


def test_a_trained_prompt_is_not_measured_on():
    check_prompts(["{} on the moon"], ["a sks dog"], ["sks dog"])
    with pytest.raises(DifflabError, match=r"'a \{\}' is a training caption"):
        check_prompts(["{} on the moon", "a {}"], ["A  sks dog"], ["sks dog"])


def test_textual_inversion_stands_once_and_the_rest_with_every_prior(params):
    cells = table_cells(params(pictures=[2, 4]))
    assert len(cells) == 3 * 3 + 1
    assert Cell("textual_inversion", "none", 4) in cells
    assert {cell.pictures for cell in cells} == {4}


def test_the_curves_are_of_one_cell(params):
    changed = params(pictures=[4, 2, 3])
    assert picture_cells(changed) == [Cell("lora", "none", 2), Cell("lora", "none", 3)]
    assert [c for c in table_cells(changed) if steps_are_measured(c, changed)] == [Cell("lora", "none", 4)]
    assert np.unique([c.name for c in table_cells(changed)]).size == 10


def test_without_the_curve_s_cell_the_first_of_the_table_has_the_curves(params):
    changed = params(pictures=[2, 4], methods=["full"], priors=["output"], curve_method="full")
    assert picture_cells(changed) == [Cell("full", "output", 2)]
    assert [c for c in table_cells(changed) if steps_are_measured(c, changed)] == [Cell("full", "output", 4)]

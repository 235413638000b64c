"""Revisions side by side: intervals that contain the training, repetitions, and what has no verdict."""

import math
import statistics

import pytest

from difflab.cli.compare import compare, difference, group, score
from difflab.cli.headlines import Headline
from difflab.cli.results import Result
from difflab.metrics.uncertainty.intervals import Spread, student

CELL = "sd3_minus_blip2_fid"
HEADLINE = Headline("sd3", "minus_blip2", "fid")
GIVEN = Headline("sd3", "pretrained_blip2", "fid")


def result(name, fid, half=0.5, rank=4, seeds=(0, 1), lock=None, **summary):
    ends = {} if half is None else {f"{CELL}_low": fid - half, f"{CELL}_high": fid + half}
    params = {"seed": 0, "finetune.seeds": list(seeds), "finetune.lora.rank": rank}
    return Result(name, params, {CELL: fid} | ends | summary, lock or {})


def lock(stage="score", models="m", code="c", ruler="r"):
    """The lock of a study of two stages."""
    deps = [{"path": "src/score.py", "md5": code}, {"path": "models/zoo/vision_encoder", "md5": ruler}]
    base = {"cmd": "train", "outs": [{"path": "models/zoo/transformer", "md5": models}]}
    return {"zoo_transformer": base, "score": {"cmd": stage, "deps": deps}}


def told(first, other, headline=HEADLINE, spreads=None):
    return difference([first], [other], headline, spreads or {}).says


@pytest.mark.parametrize(("distance", "says"), [(0.70, "not clear"), (0.72, "clear")])
def test_a_difference_is_clear_beyond_both_intervals(distance, says):
    """The interval of a difference of equal ones is sqrt(2) times as wide."""
    assert told(result("a", 8.0), result("b", 8.0 + distance, rank=8)) == says


def test_without_an_interval_of_training_nothing_is_clear():
    old = {f"{CELL}_std": 0.01, "sd3_seeds": 2}  # generation seeds alone, as older commits have them
    assert told(result("a", 8.0, None, **old), result("b", 4.0, None, rank=8, **old)) == "no interval"


def test_the_same_parameters_are_a_repetition():
    page = compare([result("HEAD", 8.0, lock=lock()), result("here", 8.6, lock=lock("again"))], {})
    assert "here: the same parameters and code: a repetition, held against prediction intervals" in page
    assert "| 8 ± 0.5 | 8.6 ± 0.5 | +0.6 ± 0.71, inside |" in page
    assert told(result("a", 8.0), result("b", 8.8)) == "outside"
    other = compare([result("HEAD", 8.0, lock=lock()), result("here", 8.6, lock=lock(code="d"))], {})
    assert "the same parameters, other code" in other


def test_another_way_of_computing_is_a_repetition():
    a, b = result("HEAD", 8.0), result("here", 8.6)
    a.params["runtime.numerics"], b.params["runtime.numerics"] = "pinned", "fast"
    assert told(a, b) == "inside"
    assert "(runtime.numerics pinned -> fast): a repetition" in compare([a, b], {})


def test_of_an_interval_that_is_not_symmetric_the_side_towards_the_other_value_decides():
    headline = Headline("sd3", "minus_blip2", "digit_accuracy")
    ends = {f"{headline.name}": 0.98, f"{headline.name}_low": 0.88, f"{headline.name}_high": 1.0}
    below, above = ({headline.name: v, f"{headline.name}_low": v, f"{headline.name}_high": v} for v in (0.86, 0.9))
    a, b, c = (result("abc"[i], 8.0, rank=i, **own) for i, own in enumerate((ends, below, above)))
    assert told(a, b, headline) == "clear"
    assert told(a, c, headline) == "not clear"
    assert "| 98 (88 to 100) | 86 ± 0 | -12 ± 10, clear |" in compare([a, b], {})


def test_recorded_repetitions_widen_the_prediction():
    spreads = {("sd3", "fid"): Spread(0.1, 8, "relative")}
    found = difference([result("a", 8.0)], [result("b", 9.0)], HEADLINE, spreads)
    assert found.half == pytest.approx(math.sqrt(2) * student(8) * 0.8)
    assert found.says == "inside"


def test_two_rulers_give_no_verdict():
    a, b = result("a", 8.0, sd3_ruler="x"), result("b", 2.0, rank=8, sd3_ruler="y")
    assert told(a, b) == "another ruler"
    assert "b: another network took 1 scores (sd3) than in a: no verdict" in compare([a, b], {})
    assert told(a, result("b", 2.0, rank=8, sd3_ruler="x")) == "clear"


def test_an_older_commit_is_measured_by_what_its_lock_read():
    assert told(result("a", 8.0, lock=lock()), result("b", 2.0, rank=8, lock=lock(ruler="s"))) == "another ruler"


def test_a_base_that_was_trained_again_has_no_verdict():
    base = {f"{GIVEN.name}{end}": v for end, v in (("", 20.0), ("_low", 19.9), ("_high", 20.1))}
    a, b = (result(n, 8.0, rank=r, lock=lock(models=m), **base) for n, r, m in (("a", 4, "m"), ("b", 8, "n")))
    b.summary[GIVEN.name] = 25.0
    assert told(a, b, GIVEN) == "another base"
    assert "the small models that all share were trained again" in compare([a, b], {})
    moved = {name: value + 5 for name, value in base.items()}
    same = result("b", 8.0, rank=8, lock=lock(), **moved)
    assert told(a, same, GIVEN) == "clear"


def test_results_that_differ_in_seeds_alone_belong_together():
    a, b, c = result("a", 8), result("b", 9, seeds=(2, 3)), result("c", 7, rank=8)
    assert [[r.name for r in members] for members in group([a, c, b])] == [["a", "b"], ["c"]]


def test_lists_of_seeds_that_overlap_are_no_repetitions():
    a, longer = result("a", 8), result("b", 9, seeds=(0, 1, 2))
    assert len(group([a, longer])) == 2
    assert "b: finetune.seeds [0, 1] -> [0, 1, 2]" in compare([a, longer], {})


def test_the_spread_of_repetitions_is_pooled_over_the_cells():
    other = "sd3_zero_blip2_fid"
    values, others = (8.0, 9.0, 7.5), (80.0, 92.0, 83.0)
    members = [result(str(i), v, seeds=(i,), **{other: o}) for i, (v, o) in enumerate(zip(values, others, strict=True))]
    found = score(members, HEADLINE)
    share = math.sqrt(statistics.fmean((statistics.stdev(v) / statistics.fmean(v)) ** 2 for v in (values, others)))
    mean = statistics.fmean(values)
    half = student(4) * share * mean / math.sqrt(3)
    assert (found.mean, *found.interval) == pytest.approx((mean, mean - half, mean + half))


def test_a_score_that_one_repetition_lacks_is_none():
    assert score([result("a", 8), Result("b", {}, {})], HEADLINE) is None


def test_only_what_changed_is_shown_and_what_did_not_run_is_said():
    kept = {"denoising_v1_clipped_psnr": 24.4, "ddpm_text_fid": 6.0}
    a = result("a", 8.0, lock=lock() | {"ddpm_score": {"cmd": "x"}, "denoise_score": {"cmd": "x"}}, **kept)
    b = result(
        "b", 6.0, rank=8, lock=lock("again") | {"ddpm_score": {"cmd": "x"}, "denoise_score": {"cmd": "y"}}, **kept
    )
    page = compare([a, b], {})
    assert "b: finetune.lora.rank 4 -> 8" in page
    assert "2 scores did not change, 1 of them of stages that did not run, or gave the same bytes (ddpm_score)." in page
    assert [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")] == ["score", "---", CELL]
    assert "| 8 ± 0.5 | 6 ± 0.5 | -2 ± 0.71, clear |" in page


def test_beside_a_moved_score_a_revision_that_did_not_run_it_is_marked():
    a, b = result("a", 8.0, lock=lock()), result("b", 6.0, rank=8, lock=lock("again"))
    c = result("c", 8.0, rank=2, lock=lock())
    assert "-2 ± 0.71, clear | 8 ± 0.5 | not run |" in compare([a, b, c], {})


def test_what_only_one_side_has_is_shown():
    page = compare([result("a", 8.0), result("b", 8.0, rank=8, ddpm_text_fid=6.0)], {})
    assert "| ddpm_text_fid | – | 6 |  |" in page


def test_the_verdict_of_a_pair_of_means_stands_with_its_difference():
    name = "sd3_blip2_minus_zero_fid"
    two = {f"{name}_difference": 0.1, f"{name}_difference_low": -0.9, f"{name}_difference_high": 1.1}
    ten = {f"{name}_difference": 0.2, f"{name}_difference_low": 0.1, f"{name}_difference_high": 0.3}
    a = result("a", 8.0, **two, **{f"{name}_verdict": "open"})
    b = result("b", 8.0, seeds=range(10), **ten, **{f"{name}_verdict": "equal"})
    assert f"| {name}_difference | 0.1 ± 1 (open) | 0.2 ± 0.1 (equal) |" in compare([a, b], {})


def test_one_revision_is_shown_as_it_is():
    assert f"| {CELL} | 8 ± 0.5 |" in compare([result("a", 8.0)], {})


def test_renamed_metrics_are_said():
    a, b = result("a", 8.0, x=1, y=2), Result("b", {}, {"other": 1.0, "one": 2.0})
    assert "the names of the metrics changed between a and b: only the 0 that both have are compared" in compare(
        [a, b], {}
    )

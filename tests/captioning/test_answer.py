"""The answer: means, differences to originals only, and the sentences that the intervals decide."""

import pandas as pd
import pytest

from difflab.captioning import answer
from difflab.core.base.errors import DifflabError
from difflab.metrics.uncertainty.paired import difference
from fakes.captioning_results import images, runs

MEASURES = ["bleu_1", "rouge_l", "cider_d", "both_correct"]


@pytest.fixture(scope="module")
def scores():
    return images(MEASURES)


@pytest.fixture(scope="module")
def metrics(scores):
    return answer.summarise(scores, runs(scores), margin=0.1)


def test_the_share_is_that_of_synthetic_rows_in_the_training_split():
    rows = pd.DataFrame(
        [("train", "original")] * 2 + [("train", "synthetic")] * 6 + [("val", "synthetic"), ("test", "original")],
        columns=["split", "source"],
    )
    assert answer.shares(rows) == {"original": 0.0, "mixed": 0.75, "synthetic": 1.0}


def test_means_and_intervals_are_over_trainings(scores, metrics):
    assert (metrics["n"], metrics["trainings"], metrics["cider_d_freedom"]) == (40, 5, 12)
    of_seeds = scores[scores.data == "mixed"].groupby("seed")["cider_d"].mean()
    assert metrics["mixed_cider_d"] == pytest.approx(of_seeds.mean())
    half = 2.1788 * metrics["cider_d_spread"] / 5**0.5  # Student's t with 12 degrees of freedom
    assert metrics["mixed_cider_d_high"] - of_seeds.mean() == pytest.approx(half, rel=1e-4)
    assert metrics["mixed_bleu_1_corpus"] == pytest.approx(metrics["mixed_bleu_1"] + 0.01)
    assert [metrics[f"{data}_share"] for data in answer.DATA] == [0, 0.75, 1]


@pytest.mark.parametrize("name", ["zero_shot", "instruct"])
def test_what_was_not_trained_has_means_but_no_difference(metrics, name):
    found = {key for key in metrics if key.startswith(name)}
    assert found == {f"{name}_{m}" for m in [*MEASURES, "bleu_1_corpus"]}


def test_differences_are_paired_with_originals_only(scores, metrics):
    tables = {d: t.pivot(index="seed", columns="id", values="cider_d") for d, t in scores.groupby("data")}
    expected = difference(tables["synthetic"], tables["original"])
    key = "synthetic_cider_d_difference"
    assert [metrics[key], metrics[f"{key}_low"], metrics[f"{key}_high"]] == pytest.approx(
        [expected.mean, expected.low, expected.high]
    )
    assert metrics[key] == pytest.approx(metrics["synthetic_cider_d"] - metrics["original_cider_d"])


def test_the_order_of_rows_changes_nothing(scores, metrics):
    shuffled = scores.sample(frac=1, random_state=0)
    again = answer.summarise(shuffled, runs(scores), margin=0.1)
    assert again == pytest.approx(metrics, rel=1e-12)


def test_a_run_that_lacks_an_image_is_refused(scores):
    some = scores.drop(scores.index[(scores.data == "mixed") & (scores.seed == 2)][:1])
    with pytest.raises(DifflabError, match="the value of seed 2 and image recipes-000 is missing"):
        answer.summarise(some, runs(scores), margin=0.1)


def test_a_single_seed_is_refused(scores):
    one = scores[scores.seed == 0]
    with pytest.raises(DifflabError, match="an interval over seeds needs two or more of them, not 1"):
        answer.summarise(one, runs(one), margin=0.1)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.1, 0.5, "better"), (0.01, 0.02, "better"), (-0.5, -0.1, "worse"), (-0.1, 0.5, "not clear"),
        (0, 0, "no difference within ±0.2"), (-0.2, 0.19, "no difference within ±0.2"), (-0.21, 0.1, "not clear"),
    ],
)  # fmt: skip
def test_the_interval_decides_the_verdict(low, high, word):
    metrics = {"margin": 0.2, "mixed_cider_d_difference_low": low, "mixed_cider_d_difference_high": high}
    assert answer.verdict(metrics, "mixed", "cider_d") == word


def test_measures_without_a_margin_are_not_clear_where_the_interval_holds_zero():
    metrics = {"margin": 0.2, "mixed_bleu_1_difference_low": -0.01, "mixed_bleu_1_difference_high": 0.01}
    assert answer.verdict(metrics, "mixed", "bleu_1") == "not clear"


def test_the_sentences_say_what_the_intervals_say(metrics):
    known = {"original_both_correct": 0.83}
    for data, values in (("mixed", (0.3104, -0.02, 0.64)), ("synthetic", (-1.5, -2, -1))):
        known |= zip((f"{data}_cider_d_difference{end}" for end in ("", "_low", "_high")), values, strict=True)
    assert answer.sentences(metrics | known) == [
        "**Synthetic data beside the originals** (75 % of the training set) changes CIDEr-D by +0.310 (95 % interval "
        "−0.020 to +0.640, 5 seeds, 40 test images): **not clear**. "
        "The other measures are better: BLEU-1, ROUGE-L, both correct.",
        "**Synthetic data in place of the originals** changes CIDEr-D by −1.500 (95 % interval −2.000 to −1.000, 5 seeds, "
        "40 test images): **worse**. The other measures are worse: BLEU-1, ROUGE-L, both correct.",
        "**Trained on originals only**, captions name digit and photograph of 83 % of test images.",
    ]


def test_recipes_have_no_sentence_on_digits():
    scores = images(["bleu_1", "cider_d"])
    metrics = answer.summarise(scores, runs(scores), margin=0.1)
    assert len(answer.sentences(metrics)) == 2

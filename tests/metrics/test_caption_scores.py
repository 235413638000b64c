"""Scores of captions: hand-made values, and the packages that they are to agree with."""

import json
import math
import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from difflab.core.base.errors import DifflabError
from difflab.metrics.caption_scores import CORPUS_MEASURES, MEASURES, CaptionScorer
from difflab.metrics.words import words

ENTRIES = json.loads(Path(__file__).with_name("captions.json").read_text())
CAPTIONS = {e["id"]: e["caption"] for e in ENTRIES}
REFERENCES = {e["id"]: e["references"] for e in ENTRIES}
IDS = sorted(CAPTIONS)

# As the packages' own functions gave them, from the same words.
CORPUS = {
    "bleu_1": 0.591901657142,
    "bleu_2": 0.522644983331,
    "rouge_l": 0.563443014101,
    "meteor_exact_stem": 0.633389816301,
    "cider_d": 2.415188925700,
    "bleu_1_corpus": 0.615384615385,
    "bleu_2_corpus": 0.534020820191,
}
CIDER_D = {
    "bread": 0.200627332, "brulee": 2.202772163, "cake": 0, "eggs": 3.918328003, "lemonade": 3.728648845, "noodles": 0,
    "pie": 7.5, "rice": 4.089668383, "roast": 0.747661412, "salad": 1.710079953, "soup": 3.652849861,
    "tacos": 1.231631165,
}  # fmt: skip


def tokenised(captions=CAPTIONS, references=REFERENCES):
    """As pycocoevalcap takes them: lists of texts whose words are parted by blanks."""
    predicted = {i: [" ".join(words(captions[i]))] for i in sorted(captions)}
    return {i: [" ".join(words(r)) for r in references[i]] for i in sorted(captions)}, predicted


@pytest.fixture(scope="module")
def scores():
    return CaptionScorer(REFERENCES).score(CAPTIONS)


def test_the_corpus_scores_are_the_golden_ones(scores):
    assert scores.corpus == pytest.approx(CORPUS, abs=1e-9)
    assert tuple(scores.corpus) == MEASURES + CORPUS_MEASURES


def test_scores_stand_by_image_in_id_order(scores):
    assert scores.ids == tuple(IDS)
    assert dict(zip(IDS, scores.per_image["cider_d"], strict=True)) == pytest.approx(CIDER_D, abs=1e-8)
    frame = scores.frame()
    assert frame.columns.tolist() == ["id", *MEASURES]
    assert {name: frame[name].mean() for name in MEASURES} == pytest.approx(
        {name: scores.corpus[name] for name in MEASURES}
    )


def test_cider_d_is_that_of_the_coco_evaluation(scores):
    from pycocoevalcap.cider.cider import Cider

    mean, each = Cider().compute_score(*tokenised())
    np.testing.assert_allclose(scores.per_image["cider_d"], each, atol=1e-9)
    assert scores.corpus["cider_d"] == pytest.approx(mean, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_cider_d_agrees_on_any_captions(seed):
    from pycocoevalcap.cider.cider import Cider

    draw = random.Random(seed)
    texts = lambda low: " ".join(draw.choices("abcdefgh", k=draw.randint(low, 12)))  # noqa: E731
    references = {f"{i:02d}": [texts(1) for _ in range(draw.randint(1, 4))] for i in range(30)}
    captions = {i: texts(0) for i in references}
    ours = CaptionScorer(references).score(captions).per_image["cider_d"]
    _, each = Cider().compute_score(*tokenised(captions, references))
    np.testing.assert_allclose(ours, each, atol=1e-9)


def test_bleu_of_the_corpus_is_that_of_the_coco_evaluation(scores, capsys):
    from pycocoevalcap.bleu.bleu import Bleu

    corpus, _ = Bleu(2).compute_score(*tokenised())
    assert [scores.corpus["bleu_1_corpus"], scores.corpus["bleu_2_corpus"]] == pytest.approx(corpus, abs=1e-6)


@pytest.mark.parametrize("order", [1, 2])
def test_bleu_is_that_of_sacrebleu_and_of_nltk(scores, order):
    from nltk.translate.bleu_score import sentence_bleu
    from sacrebleu.metrics import BLEU

    metric = BLEU(tokenize="none", smooth_method="none", max_ngram_order=order, effective_order=False)
    references, captions = tokenised()
    for i, ours in zip(IDS, scores.per_image[f"bleu_{order}"], strict=True):
        streams = [[text] for text in references[i]]
        assert ours == pytest.approx(metric.corpus_score(captions[i], streams).score / 100, abs=1e-12)
        if ours:  # where there is no match nltk warns, and gives nearly zero
            split = [r.split() for r in references[i]]
            theirs = sentence_bleu(split, captions[i][0].split(), weights=[1 / order] * order)
            assert ours == pytest.approx(theirs, abs=1e-12)
    streams = [[(references[i] + [None] * 3)[k] for i in IDS] for k in range(3)]
    whole = metric.corpus_score([captions[i][0] for i in IDS], streams).score / 100
    assert scores.corpus[f"bleu_{order}_corpus"] == pytest.approx(whole, abs=1e-12)


def test_rouge_l_is_the_best_f1_over_the_references(scores):
    from pycocoevalcap.rouge.rouge import Rouge

    coco = Rouge()
    coco.beta = 1
    references, captions = tokenised()
    best = [max(coco.calc_score(captions[i], [text]) for text in references[i]) for i in IDS]
    np.testing.assert_allclose(scores.per_image["rouge_l"], best, atol=1e-12)


def test_meteor_is_that_of_nltk_without_synonyms(scores):
    from nltk.translate.meteor_score import meteor_score

    none = SimpleNamespace(synsets=lambda word: [])
    references, captions = tokenised()
    theirs = [meteor_score([r.split() for r in references[i]], captions[i][0].split(), wordnet=none) for i in IDS]
    np.testing.assert_allclose(scores.per_image["meteor_exact_stem"], theirs, atol=1e-12)


def test_meteor_of_stems_by_hand(scores):
    """ "roasting the chickens with herbs" for "Roasted Chicken with Herbs": 4 matches in 2 pieces."""
    precision, recall = 4 / 5, 1
    mean = 10 * precision * recall / (recall + 9 * precision)
    ours = scores.per_image["meteor_exact_stem"][IDS.index("roast")]
    assert ours == pytest.approx(mean * (1 - 0.5 * (2 / 4) ** 3))


def test_bleu_of_a_short_caption_by_hand(scores):
    """ "tacos" has no pair of words, and is two words shorter than its nearest reference."""
    at = IDS.index("tacos")
    assert scores.per_image["bleu_1"][at] == pytest.approx(math.exp(1 - 3))
    assert scores.per_image["bleu_2"][at] == 0


def test_the_order_of_images_and_of_references_changes_nothing(scores):
    backwards = CaptionScorer({i: REFERENCES[i][::-1] for i in IDS[::-1]}).score(dict(sorted(CAPTIONS.items())[::-1]))
    assert backwards.ids == scores.ids
    for name in MEASURES:
        np.testing.assert_allclose(backwards.per_image[name], scores.per_image[name], atol=1e-12)


def test_a_further_reference_never_lowers_rouge_and_meteor(scores):
    more = {i: [*texts, "something else"] for i, texts in REFERENCES.items()}
    again = CaptionScorer(more).score(CAPTIONS)
    for name in ("rouge_l", "meteor_exact_stem"):
        assert (again.per_image[name] >= scores.per_image[name]).all()


@pytest.mark.parametrize("caption", ["", "   ", "?!"])
def test_an_empty_caption_scores_zero_in_everything(caption):
    found = CaptionScorer({"a": ["apple pie"], "b": ["pear"]}).score({"a": caption, "b": caption})
    assert set(found.corpus.values()) == {0.0}


def test_captions_and_references_of_one_word_are_scored():
    found = CaptionScorer({"a": ["Pie"], "b": ["Soup"], "c": ["Tea"]}).score({"a": "pie", "b": "soup", "c": "pie"})
    assert found.per_image["bleu_1"] == pytest.approx([1, 1, 0])
    assert found.per_image["bleu_2"].tolist() == [0, 0, 0]
    assert found.per_image["rouge_l"].tolist() == [1, 1, 0]
    assert found.per_image["meteor_exact_stem"].tolist() == [0.5, 0.5, 0]
    assert found.per_image["cider_d"] == pytest.approx([2.5, 2.5, 0])  # the three longer orders have nothing


@pytest.mark.parametrize("references", [{}, {"a": ["apple pie"]}])
def test_fewer_than_two_images_are_refused(references):
    with pytest.raises(DifflabError, match=rf"captions of {len(references)} images cannot be scored: CIDEr-D needs"):
        CaptionScorer(references)


@pytest.mark.parametrize("none", [[], [""], ["...", " "]])
def test_an_image_without_reference_is_refused_by_name(none):
    with pytest.raises(DifflabError, match="1 images have no reference, first b: leave them out"):
        CaptionScorer({"a": ["apple pie"], "b": none})


def test_references_without_a_word_are_left_out():
    with_empty = CaptionScorer({"a": ["apple pie", "..."], "b": ["pear tart"]}).score({"a": "apple", "b": "tart"})
    without = CaptionScorer({"a": ["apple pie"], "b": ["pear tart"]}).score({"a": "apple", "b": "tart"})
    assert with_empty.corpus == without.corpus


def test_captions_of_other_images_are_refused():
    scorer = CaptionScorer({"a": ["apple pie"], "b": ["pear tart"]})
    with pytest.raises(DifflabError, match="1 images have no caption, first b"):
        scorer.score({"a": "apple"})
    with pytest.raises(DifflabError, match="2 images have a caption but no reference, first c"):
        scorer.score({"a": "apple", "b": "tart", "d": "", "c": ""})


@pytest.mark.parametrize("caption", [None, float("nan"), ["apple"]])
def test_what_is_no_text_is_refused_by_name(caption):
    scorer = CaptionScorer({"a": ["apple"], "b": ["tart"]})
    with pytest.raises(DifflabError, match=r"captions: that of b is .*, no text"):
        scorer.score({"a": "apple", "b": caption})
    with pytest.raises(DifflabError, match="the references of b are no list of texts"):
        CaptionScorer({"a": ["apple"], "b": [caption]})


def test_a_text_is_no_list_of_references():
    with pytest.raises(DifflabError, match="the references of a are no list of texts: 'apple pie'"):
        CaptionScorer({"a": "apple pie", "b": ["tart"]})

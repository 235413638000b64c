"""Scoring of cells."""

import weakref

import numpy as np
import pandas as pd
import pytest

from difflab.core.base.errors import DifflabError
from difflab.core.base.store.decoder import decode_image
from difflab.datasets import KNOWN
from difflab.images.facts.celeba_facts import CELEBA
from difflab.images.generated import reader as generated_reader
from difflab.images.generated.reader import GeneratedImages
from difflab.images.generated.writer import tiles
from difflab.metrics.features.features import extract
from difflab.metrics.images.distances import RankDeficientWarning, frechet_distance, squared_mmd
from difflab.sd3.params import ScoreParams
from difflab.sd3.scoring import scores
from difflab.sd3.scoring.neighbours import MEASURES, Neighbours
from fakes.sd3_study import make_store
from fakes.study_results import IDS, Extractor, Store, picture, write_generated

PARAMS = {
    "extractor": "vision_encoder", "reference_split": "train", "floor_split": "val", "min_images": 20, "batch_size": 7,
    "kid_subsets": 10, "kid_subset_size": 100, "margin": 0.1,
    "real_faces": False,
}  # fmt: skip

SIDE = 16


@pytest.fixture
def judge() -> scores.Judge:
    extractor = Extractor()
    reference = extract([picture(f"reference {i}") for i in range(60)], extractor)
    return scores.Judge(reference, extractor, Store().attributes, ScoreParams(**PARAMS), seed=0, side=SIDE)


def score_cell(judge: scores.Judge, generated: GeneratedImages) -> list[dict]:
    labels = {"adapter": "minus", "captions": "blip2"}
    return [judge.score(generated.read(s), generated.ids(s), **labels, seed=s) for s in generated.seeds]


def test_an_archive_is_read_by_seed_and_id_in_id_order(tmp_path):
    write_generated(tmp_path / "blip2.zip", seeds=(3, 0), ids=IDS[::-1])
    generated = GeneratedImages(tmp_path / "blip2.zip")
    assert generated.seeds == [0, 3]
    assert generated.ids(3) == IDS
    assert [np.asarray(image)[0, 0, 0] for image in generated.read(0)] == [int(i[3:]) % 10 for i in IDS]


def test_an_absent_archive_says_how_to_make_it(tmp_path):
    with pytest.raises(DifflabError, match=r"minus.blip2\.zip is missing: run `dvc repro` \(or `dvc pull`\)"):
        GeneratedImages(tmp_path / "minus" / "blip2.zip")


def test_a_cell_has_one_row_per_seed_with_the_distances_of_its_images(tmp_path, judge):
    write_generated(tmp_path / "blip2.zip", seeds=(0, 1))
    generated = GeneratedImages(tmp_path / "blip2.zip")
    rows = score_cell(judge, generated)
    assert [(r["adapter"], r["captions"], r["seed"], r["n"]) for r in rows] == [
        ("minus", "blip2", 0, 40),
        ("minus", "blip2", 1, 40),
    ]
    features = extract(generated.read(1), judge.extractor)
    assert rows[1]["fid"] == pytest.approx(frechet_distance(features, judge.reference), rel=1e-12)
    assert rows[1]["kid"] == pytest.approx(squared_mmd(features, judge.reference), rel=1e-9)


@pytest.mark.parametrize(("right", "share"), [(True, 1.0), (False, 0.0)])
def test_accuracy_takes_the_class_from_the_sample_id(tmp_path, judge, right, share):
    write_generated(tmp_path / "a.zip", seeds=(0,), right=right)
    (row,) = score_cell(judge, GeneratedImages(tmp_path / "a.zip"))
    assert row["digit_accuracy"] == row["photo_accuracy"] == share
    predictions = judge.all_predictions()
    assert predictions["id"].tolist() == IDS
    assert ((predictions.digit == predictions.expected_digit) == right).all()


def test_no_more_than_a_batch_of_pictures_is_decoded_at_a_time(tmp_path, judge, monkeypatch):
    """At the published settings a cell has 3,000 pictures of 3 MB."""
    alive, most = set(), 0

    def decode(content, name):
        nonlocal most
        image = decode_image(content, name)
        alive.add(name)
        weakref.finalize(image, alive.discard, name)
        most = max(most, len(alive))
        return image

    monkeypatch.setattr(generated_reader, "decode_image", decode)
    write_generated(tmp_path / "a.zip", seeds=(0,))
    (row,) = score_cell(judge, GeneratedImages(tmp_path / "a.zip"))
    assert row["n"] == len(IDS)
    assert 0 < most <= judge.params.batch_size


def test_with_neighbours_a_row_holds_what_they_say(tmp_path, judge):
    write_generated(tmp_path / "a.zip", seeds=(0,))
    (plain,) = score_cell(judge, GeneratedImages(tmp_path / "a.zip"))
    judge.neighbours = Neighbours(judge.reference, judge.reference[:30], judge.reference[30:], seed=0)
    (row,) = score_cell(judge, GeneratedImages(tmp_path / "a.zip"))
    assert row == {**plain, **{name: row[name] for name in MEASURES}}


def test_faces_are_scored_without_classes(tmp_path, judge):
    faces = scores.Judge(
        judge.reference, judge.extractor, pd.DataFrame(True, IDS, CELEBA.columns), judge.params, 0, SIDE
    )
    write_generated(tmp_path / "a.zip", seeds=(0,))
    (row,) = score_cell(faces, GeneratedImages(tmp_path / "a.zip"))
    assert set(row) == {"adapter", "captions", "seed", "n", "fid", "kid"}
    assert faces.all_predictions().empty


def test_sets_with_a_singular_covariance_are_warned_of_once(judge, recwarn):
    features = judge.reference[: judge.extractor.dim]
    assert judge.distances(features) == judge.distances(features)
    assert [w.category for w in recwarn] == [RankDeficientWarning]


def test_too_few_images_are_refused_with_the_cell_and_n(tmp_path, judge):
    write_generated(tmp_path / "a.zip", seeds=(0,), ids=IDS[:19])
    with pytest.raises(DifflabError, match=r"minus blip2 0 has 19 images, fewer than score\.min_images=20"):
        score_cell(judge, GeneratedImages(tmp_path / "a.zip"))


def test_cells_of_different_n_are_refused():
    assert scores.same_count([{"n": 5}, {"n": 5}]) == 5
    with pytest.raises(DifflabError, match=r"\[4, 5\]"):
        scores.same_count([{"n": 5}, {"n": 4}])


def test_the_floor_takes_as_many_images_as_a_cell_has():
    few = scores.floor_ids(IDS, 10, seed=0)
    assert len(set(few)) == 10
    assert few == sorted(few) == scores.floor_ids(IDS[::-1], 10, seed=0)
    assert few != scores.floor_ids(IDS, 10, seed=1)
    assert scores.floor_ids(IDS, 99, seed=0) == IDS


def test_the_floor_split_must_differ_from_the_reference():
    with pytest.raises(ValueError, match="must differ"):
        ScoreParams(**PARAMS | {"floor_split": "train"})


@pytest.mark.parametrize("withheld", [True, False])
def test_real_faces_are_shown_only_where_asked_for(tmp_path, root, monkeypatch, withheld):
    """Of people there is a drawn figure, the same for all."""
    monkeypatch.syspath_prepend(str(root))
    from stages.sd3.score import real_grid

    store = make_store(tmp_path / "faces", "hq", 3, size=64)
    shown = tiles(np.asarray(real_grid(store, store.ids, withheld)), ncols=3, count=3)
    same = [np.array_equal(tile, np.asarray(image)) for tile, image in zip(shown, store.read(store.ids), strict=True)]
    assert same == [not withheld] * 3
    assert np.array_equal(shown[0], shown[1]) == withheld


def test_the_data_set_says_whether_it_shows_people():
    assert [(known.name, known.people) for known in KNOWN] == [("celeba", True), ("miniature", False)]

"""A look at real pictures from beginning to end, and what its table comes to."""

import numpy as np
import pandas as pd
import pytest
import torch
from diffusers.schedulers import FlowMatchEulerDiscreteScheduler

from difflab.attention import looks, sheets
from difflab.attention.layout import CLIP, Layout, Token
from difflab.attention.noised import looked_at
from difflab.attention.params import AttentionMapsParams
from difflab.attention.pictures import Picture, Shown, pictures
from difflab.images.archives.opening import open_archive
from difflab.images.facts.data_set import Part
from difflab.miniature.archives.face_archives import write_celeba_hq
from difflab.miniature.data.bundled import SEED, hq_images
from difflab.miniature.data.vocabulary import MINIATURE
from difflab.miniature.zoo.tokenizers import clip_tokenizer
from fakes.flow import CHANNELS, JOINT, POOLED, SIZE, tiny_transformer

SIDE, COUNT = SIZE // 2, 12
SETTINGS = AttentionMapsParams(
    captions="blip2", trained_on="blip2", num_images=None, num_inference_steps=2, batch_size=4, coverage=0.125,
    similarity_scale=0.5, shown=2,
)  # fmt: skip


def a_picture(number):
    mask = np.zeros((16, 16), bool)
    mask[: 4 + number % 4, :8] = True
    shares = (
        torch.from_numpy(mask.astype(np.float32)).unfold(0, 16 // SIDE, 16 // SIDE).unfold(1, 16 // SIDE, 16 // SIDE)
    )
    placed = Layout(SIDE, SIDE, "a cat", (Token(CLIP, SIDE**2 + 1, "cat", 2, 5),))
    shown = {"cat": Shown("cat", [SIDE**2 + 1], mask, shares.mean((-1, -2)).flatten())}
    return Picture(f"hq-{number:05d}", placed, shown)


SHOWN = [a_picture(number) for number in range(COUNT)]


def looked(seed=0):
    generator, transformer = torch.Generator().manual_seed(seed), tiny_transformer(seed)
    shapes = (CHANNELS, SIZE, SIZE), (CHANNELS, SIZE, SIZE), (5, JOINT), (POOLED,)
    given = [torch.randn(COUNT, *shape, generator=generator) for shape in shapes]
    words = [[part.positions for part in picture.parts.values()] for picture in SHOWN]
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    return list(looked_at(transformer, scheduler, 2, *given, words=words)), scheduler.sigmas[:-1].tolist()


def test_maps_are_shares_of_attention_by_step_and_block_and_do_not_depend_on_the_batch():
    seen, _ = looked()
    assert seen[0].heat.shape == (1, 2, 3, SIDE**2)
    assert seen[0].features.shape == (3, SIDE**2, 16)
    sums = torch.stack([one.heat.sum(-1) for one in seen])
    assert float(sums.min()) > 0
    assert float(sums.max()) < 1  # the rest is attention to words
    assert not torch.equal(seen[0].heat[:, 0], seen[0].heat[:, 1])


def test_a_table_of_looks_has_both_halves_and_all_steps():
    seen, sigmas = looked()
    found = [looks.scored(picture, one, SETTINGS) for picture, one in zip(SHOWN, seen, strict=True)]
    table = pd.DataFrame(looks.rows(SHOWN, found, sigmas, SETTINGS))
    sizes = table[(table.block == 0) & (table.step == looks.MEAN)].set_index("half")["n"]
    assert sizes.sum() == COUNT
    assert len(table) == 2 * 3 * 3  # halves, blocks, two steps and their mean
    own = [one["cat"].pointing[1, 2].item() for one, p in zip(found, SHOWN, strict=True) if p.scored]
    row = table[(table.half == "score") & (table.block == 2) & (table.step == "1")].iloc[0]
    assert row.pointing_accuracy == pytest.approx(np.mean(own))
    assert row.sigma == pytest.approx(sigmas[1])
    references = looks.references(SHOWN, SETTINGS)
    assert references["cat_n"] == sizes["score"]
    assert references["cat_prior_pointing_accuracy"] == 1  # all things lie in one corner
    assert references["cat_chance_pointing_accuracy"] < 0.6


def results(values):
    """A table of mean scores: {(model, half, block): one for each training}."""
    rows = [
        {"model": m, "training": t, "part": "cat", "half": h, "n": 9, "block": b, "step": "mean", "sigma": np.nan}
        | dict.fromkeys(looks.MEASURES, v)
        for (m, h, b), of in values.items()
        for t, v in enumerate(of)
    ]
    return pd.DataFrame(rows)


def test_the_block_is_chosen_on_one_half_and_the_change_has_an_interval():
    base, tuned = looks.GIVEN, "minus"
    metrics = looks.summarise(
        results({
            (base, "choice", 0): [0.9, 0.9], (base, "choice", 1): [0.1, 0.1],
            (tuned, "choice", 0): [0.2, 0.3], (tuned, "choice", 1): [0.6, 0.7],
            (base, "score", 0): [0.5, 0.6], (base, "score", 1): [0.30, 0.32],
            (tuned, "score", 0): [0.99, 0.99], (tuned, "score", 1): [0.80, 0.82],
        })
    )  # fmt: skip
    assert metrics["cat_best_block"] == 1  # of the fine-tuned model in the half that chooses
    assert metrics["cat_minus_pointing_accuracy"] == pytest.approx(0.81)
    assert metrics["cat_minus_iou_change"] == pytest.approx(0.5)
    assert metrics["cat_minus_iou_change_low"] < 0.5 < metrics["cat_minus_iou_change_high"]
    assert metrics["cat_minus_block_0_ari"] == pytest.approx(0.99)


def test_one_training_gives_no_interval():
    cells = {(m, h, 0): [0.5] for m in (looks.GIVEN, "minus") for h in ("choice", "score")}
    metrics = looks.summarise(results(cells))
    assert metrics["cat_minus_ari_change"] == 0
    assert not [name for name in metrics if name.endswith(("_low", "_high"))]


def test_clusters_of_planted_features_are_the_mask():
    true = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])
    features = torch.nn.functional.one_hot(true, 6).float() + 0.05 * torch.randn(8, 6, generator=torch.Generator())
    assert looks._agreement(looks.clustered(features, 2, 0.5), true.bool()) == 1


class Store:
    def read(self, ids):
        from PIL import Image

        return [Image.new("RGB", (16, 16), (200, 10, 10)) for _ in ids]


@pytest.mark.parametrize("withheld", [False, True])
def test_the_figure_shows_pictures_masks_maps_and_clusters(withheld):
    seen, sigmas = looked()
    found = [looks.scored(picture, one, SETTINGS) for picture, one in zip(SHOWN, seen, strict=True)]
    table = pd.DataFrame([{"model": "minus", **row} for row in looks.rows(SHOWN, found, sigmas, SETTINGS)])
    kept = {n: seen[n] for n in sheets.drawn(SHOWN, SETTINGS.shown)}
    figure = np.asarray(sheets.before_after(Store(), SHOWN, [kept, kept], table, SETTINGS, withheld))
    assert len(kept) == 2
    assert figure.shape[0] >= 2 * 112
    assert ((figure == (200, 10, 10)).all(-1).any()) == (not withheld)


def test_without_parts_pictures_and_clusters_are_drawn_and_nothing_is_scored():
    seen, _ = looked()
    bare = [Picture(p.id, p.layout, {}) for p in SHOWN]
    empty = pd.DataFrame(columns=looks.COLUMNS)
    assert looks.summarise(empty) == looks.references(bare, SETTINGS) == {}
    figure = sheets.before_after(Store(), bare, [{0: seen[0], 1: seen[1]}] * 2, empty, SETTINGS)
    assert figure.size[0] >= 3 * 112


def test_masks_of_the_miniature_s_archive_are_the_digits(tmp_path):
    write_celeba_hq(tmp_path / "CelebAMask-HQ.zip", SEED)
    archive, tokenizers = open_archive(tmp_path / "CelebAMask-HQ.zip"), {CLIP: (clip_tokenizer(14, True), 14)}
    captions = {"hq-00000": "a handwritten four over a photo of a cat", "hq-00007": "a photo of a cat"}
    seen, without = pictures(captions, MINIATURE.parts, archive, (4, 4), tokenizers)
    mask = seen.parts["digit"].mask
    assert (mask == hq_images(SEED)[0].mask).all()
    assert 0.05 < mask.mean() < 0.5
    assert seen.parts["digit"].word == "four"
    assert without.parts == {}
    hat = Part("hat", r"\bcat\b", ("hat",))
    assert pictures(captions, [hat], archive, (4, 4), tokenizers)[0].parts == {}  # a word for what has no mask


def test_half_of_all_ids_are_scored():
    share = np.mean([Picture(f"hq-{n:05d}", SHOWN[0].layout, {}).scored for n in range(400)])
    assert 0.4 < share < 0.6

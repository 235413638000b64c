"""The miniature's base: its start, its files, and its captioned pictures: digits and photographs, never both."""

import numpy as np
import pytest
import torch
from diffusers.schedulers import FlowMatchEulerDiscreteScheduler

from difflab.core.base.roles import load_transformer
from difflab.core.base.store.captions import check
from difflab.miniature.data.sources import digits
from difflab.miniature.data.vocabulary import DIGIT, PHOTO_WORDS
from difflab.miniature.zoo import small_transformer
from difflab.models.sampling.schedulers import load_scheduler
from fakes import zoo

ALLOWED = np.arange(100, 160)
WIDTHS = {"latent_shape": (16, 8, 8), "joint_attention_dim": 24, "pooled_projection_dim": 12}


@pytest.fixture(scope="module")
def params():
    return zoo.transformer()


def velocity(transformer, x, prompt, pooled):
    return transformer(
        hidden_states=x, encoder_hidden_states=prompt, pooled_projections=pooled,
        timestep=torch.full((len(x),), 500.0), return_dict=False,
    )[0]  # fmt: skip


def test_a_new_transformer_repeats_its_input_and_ignores_the_prompt(params):
    transformer = small_transformer.build(params, 0, **WIDTHS).eval()
    x = torch.randn(3, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    prompts = torch.randn(2, 3, 6, 24), torch.randn(2, 3, 12)
    first, second = (velocity(transformer, x, p, q) for p, q in zip(*prompts, strict=True))
    assert torch.equal(first, second)
    correlation = torch.corrcoef(torch.stack([x.flatten(), first.flatten()]))[0, 1]
    assert correlation > 0.7


def test_the_zeros_open_within_a_few_steps(params):
    transformer = small_transformer.build(params, 0, **WIDTHS)
    x, prompt, pooled = torch.randn(4, 16, 8, 8), torch.randn(4, 6, 24), torch.randn(4, 12)
    optimizer = torch.optim.SGD(transformer.parameters(), 0.1)
    for _ in range(4):  # from the output inwards
        optimizer.zero_grad()
        velocity(transformer, x, prompt, pooled).square().mean().backward()
        optimizer.step()
    silent = [n for n, p in transformer.named_parameters() if p.grad is None or not p.grad.any()]
    # the last block drops its text tokens, so nothing asks what they attend to
    assert {name.rpartition(".")[0] for name in silent} == {
        f"transformer_blocks.1.attn.{part}" for part in ("add_q_proj", "norm_added_q")
    }


def test_weights_depend_on_the_seed_only(params):
    def weights(seed):
        return torch.cat([p.flatten() for p in small_transformer.build(params, seed, **WIDTHS).parameters()])

    first = weights(0)
    torch.manual_seed(9)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


def test_transformer_and_scheduler_load_as_they_were_saved(params, tmp_path):
    transformer = small_transformer.build(params, 0, **WIDTHS)
    transformer.save_pretrained(tmp_path / "transformer")
    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(tmp_path / "scheduler")
    loaded = load_transformer(tmp_path)
    assert not loaded.training
    for (name, one), two in zip(transformer.named_parameters(), loaded.parameters(), strict=True):
        assert torch.equal(one, two), name
    assert load_transformer(tmp_path, dtype=torch.bfloat16).dtype == torch.bfloat16
    assert load_scheduler(tmp_path).config.shift == 3.0


@pytest.fixture(scope="module")
def drawn():
    return small_transformer.draw(ALLOWED, 50, 0.4, 0, "training")


def test_the_shares_are_those_asked_for(drawn):
    assert drawn.images.shape == (50, 3, 32, 32)
    assert [id.split("-")[0] for id in drawn.ids] == ["digit"] * 30 + ["photo"] * 20
    assert (drawn.labels[:30] >= 0).all()
    assert (drawn.labels[30:] == -1).all()
    for fraction, count in ((0.0, 0), (1.0, 7)):
        some = small_transformer.draw(ALLOWED, 7, fraction, 0, "training")
        assert (some.labels == -1).sum() == count


def test_digits_are_of_the_given_rows_and_named_in_their_captions(drawn):
    assert set(drawn.labels[:30]) <= set(digits().labels[ALLOWED])
    for variant in small_transformer.VARIANTS:
        assert [DIGIT.named(c) for c in drawn.captions[variant][:30]] == drawn.labels[:30].tolist()
        assert all("plain background" in c for c in drawn.captions[variant][:30])


def test_digits_lie_over_one_colour(drawn):
    corners = drawn.images[:30, :, ::31, ::31].flatten(2)
    assert torch.equal(corners.amax(2), corners.amin(2))


def test_captions_of_photographs_name_the_photograph_and_no_digit(drawn):
    for variant in small_transformer.VARIANTS:
        for caption in drawn.captions[variant][30:]:
            assert sum(f"photo of {words}" in caption for words in PHOTO_WORDS.values()) == 1
            assert "handwritten" not in caption
            assert DIGIT.named(caption) < 0


def test_the_captions_form_a_caption_table(drawn):
    table = drawn.caption_table()
    check(table, "the captions")
    assert len(table) == 100


def test_pictures_belong_to_seed_and_purpose():
    def images(seed, purpose):
        return small_transformer.draw(ALLOWED, 6, 0.5, seed, purpose).images

    assert torch.equal(images(0, "training"), images(0, "training"))
    for other in (images(0, "held-out"), images(1, "training")):
        assert not torch.equal(images(0, "training")[:3], other[:3])
        assert not torch.equal(images(0, "training")[3:], other[3:])

"""The text encoder of the small Stable Diffusion: it sees all titles as the pipeline will, and learns to name."""

import pytest
import torch
from torch.nn import functional

from difflab.miniature.data.vocabulary import named
from difflab.miniature.zoo import prompt_encoder
from difflab.miniature.zoo.tokenizers import clip_tokenizer
from difflab.training.supervised import fit
from fakes.small_diffusion import params

TOKENIZER = clip_tokenizer(22)


@pytest.fixture(scope="module")
def prompts():
    return prompt_encoder.all_prompts(TOKENIZER)


@pytest.fixture(scope="module")
def namer():
    return prompt_encoder.build(params(), TOKENIZER, seed=0)


def text(prompts, row: int) -> str:
    return TOKENIZER.decode(prompts.tokens[row], skip_special_tokens=True)


def test_every_prompt_names_what_it_is_said_to(prompts):
    for row in range(0, prompts.empty_row, 7):
        assert named(text(prompts, row)) == (prompts.digits[row], prompts.photos[row])


def test_the_last_prompt_is_empty(prompts):
    assert text(prompts, prompts.empty_row) == ""
    assert prompts.tokens[-1].tolist() == [TOKENIZER.bos_token_id] + [TOKENIZER.eos_token_id] * 21


def test_no_title_is_cut(prompts):
    assert (prompts.tokens[:, -1] == TOKENIZER.pad_token_id).all()


def test_a_picture_gets_one_of_its_own_titles(prompts):
    digits, photos = torch.tensor([3, 3, 9, 0]), torch.tensor([4, -1, 11, 0])
    seen = set()
    for uniform in torch.linspace(0, 0.999, 40):
        rows = prompts.rows(digits, photos, uniform.expand(4))
        assert torch.equal(prompts.digits[rows], digits)
        assert torch.equal(prompts.photos[rows], photos)
        seen |= set(rows.tolist())
    assert len(seen) == 3 * 16 + len(prompt_encoder.PLAIN_FORMS)  # every title of the three and of the plain digit


def test_the_loss_is_that_of_scaled_cosines(prompts, namer):
    """Against a loop over the batch; prompts without a photograph are asked for the digit alone."""
    from difflab.core.base import rng

    count = 64
    value = prompt_encoder.batch_loss(namer, prompts, count, seed=0)(5)["loss"].item()
    rows = rng.numpy_rng(0, "zoo diffusion prompts", 5).integers(prompts.empty_row, size=count)
    digit_losses, photo_losses = [], []
    for row in rows.tolist():
        mean = namer.encoder(input_ids=prompts.tokens[row][None]).last_hidden_state[0].mean(0)
        for known, directions, losses in (
            (prompts.digits[row], namer.digits, digit_losses),
            (prompts.photos[row], namer.photos, photo_losses),
        ):
            if known >= 0:
                logits = 10 * functional.cosine_similarity(mean[None], directions)
                losses.append(-logits.log_softmax(0)[known].item())
    expected = sum(digit_losses) / len(digit_losses) + sum(photo_losses) / len(photo_losses)
    assert value == pytest.approx(expected, rel=1e-4)


def test_it_learns_to_name_every_title(prompts, tmp_path):
    settings = params().text_training.model_copy(update={"steps": 120, "batch_size": 64})
    model = prompt_encoder.build(params(), TOKENIZER, seed=0)
    before = prompt_encoder.accuracy(model.eval(), prompts)
    fit(model, prompt_encoder.batch_loss(model, prompts, 64, 0), settings, scratch=tmp_path, what="text")
    assert before < 0.1
    assert prompt_encoder.accuracy(model.eval(), prompts) > 0.9


def test_what_the_unet_reads_is_what_the_pipeline_gives_it(prompts, namer):
    """Row by row the encoder's last hidden state, whatever the size of its batches."""
    encoder = namer.encoder.eval()
    hidden = prompt_encoder.embed(encoder, prompts)
    assert hidden.shape == (len(prompts.tokens), 22, 32)
    for row in (0, 1000, prompts.empty_row):
        alone = encoder(input_ids=prompts.tokens[row][None]).last_hidden_state[0]
        torch.testing.assert_close(hidden[row], alone, rtol=1e-4, atol=1e-4)


def test_weights_depend_on_the_seed_alone():
    torch.rand(3)
    one, again, other = (prompt_encoder.build(params(), TOKENIZER, seed).digits for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)

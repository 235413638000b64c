"""What is drawn for a batch: by id and epoch, never by place in the batch."""

import pytest
import torch

from difflab.core.base.errors import DifflabError
from difflab.sd3.training.density import SigmaDensity
from difflab.sd3.training.examples import Examples, caption_rows
from fakes.flow import FakeLatents, FakePrompts, density_params, examples

CPU = torch.device("cpu")
PARTS = ("x0", "noise", "sigma", "prompt_embeds", "pooled_prompt_embeds")


def draw(data, index, keys, dropout=0.2, seed=5):
    density = SigmaDensity(density_params(), 0.0)
    return data.training_batch(index, keys, density, seed, dropout, CPU)


def test_a_sample_gets_the_same_draws_in_any_batch():
    data = examples(20)
    index, keys = data.stream(5).take(0, 20)
    whole = draw(data, index, keys)
    for place in (0, 7, 19):
        alone = draw(data, index[place : place + 1], keys[place : place + 1])
        for part in PARTS:
            assert torch.equal(getattr(alone, part)[0], getattr(whole, part)[place])


def test_the_next_epoch_and_another_seed_draw_anew():
    data = examples(20)
    stream = data.stream(5)
    (first, keys), (second, later) = stream.take(0, 20), stream.take(20, 20)
    a, b = draw(data, first, keys), draw(data, second, later)
    same = [(i, j) for i, x in enumerate(first.tolist()) for j, y in enumerate(second.tolist()) if x == y]
    assert len(same) == 20
    assert not any(torch.equal(a.noise[i], b.noise[j]) or a.sigma[i] == b.sigma[j] for i, j in same)
    assert not torch.equal(a.noise, draw(data, first, keys, seed=6).noise)


def test_draws_of_one_sample_are_independent_of_each_other():
    """Noise, posterior and sigma of the same key must not be the same numbers."""
    data = examples(400, variants=1)
    index, keys = data.stream(5).take(0, 400)
    batch = draw(data, index, keys)
    posterior = (batch.x0 - data.latents.mode(data.latent_rows[index])).flatten(1)
    columns = torch.stack([batch.noise.flatten(1)[:, 0], posterior[:, 0], torch.logit(batch.sigma)])
    assert (torch.corrcoef(columns) - torch.eye(3)).abs().max() < 0.2


def test_the_share_of_empty_prompts_is_the_dropout():
    data = examples(2000, variants=1)
    index, keys = data.stream(5).take(0, 2000)
    empty = data.prompts.pooled[0]
    dropped = (draw(data, index, keys).pooled_prompt_embeds == empty).all(1).float().mean().item()
    assert dropped == pytest.approx(0.2, abs=0.03)
    assert not (draw(data, index, keys, dropout=0.0).pooled_prompt_embeds == empty).all(1).any()
    assert (draw(data, index, keys, dropout=1.0).pooled_prompt_embeds == empty).all()


def test_every_caption_variant_of_a_sample_is_used_alike():
    data = examples(600, variants=3)
    index, keys = data.stream(5).take(0, 600)
    pooled = draw(data, index, keys, dropout=0.0).pooled_prompt_embeds
    own = data.prompts.pooled[data.prompt_rows[index]]
    chosen = (own == pooled[:, None]).all(2)
    assert chosen.sum(1).eq(1).all()
    torch.testing.assert_close(chosen.float().mean(0), torch.full((3,), 1 / 3), atol=0.07, rtol=0)


def test_reported_sigmas_are_those_of_the_run():
    data = examples(10)
    density = SigmaDensity(density_params(), 0.0)
    index, keys = data.stream(5).take(0, 30)
    assert torch.equal(data.sigmas(density, seed=5, count=30), draw(data, index, keys).sigma)


def test_held_out_noise_depends_on_the_id_only():
    few, many = examples(3), examples(9)
    a = few.held_out_batch(torch.tensor([2]), seed=1, device=CPU)
    b = many.held_out_batch(torch.tensor([5, 2]), seed=1, device=CPU)
    assert torch.equal(a.noise[0], b.noise[1])
    assert torch.equal(a.x0[0], few.latents.mean[2])


class Index(FakePrompts):
    """Prompt rows by id and variant."""

    def __init__(self, variants):
        super().__init__(9)
        self.index = {"variant": ["empty", *variants]}

    def rows(self, ids, variant):
        return torch.tensor([self.index["variant"].index(variant)] * len(ids))


def test_all_variants_of_a_kind_of_captions_are_found():
    prompts = Index(["blip2", "blip2-1", "llama3"])
    assert caption_rows(prompts, ["a", "b"], "blip2").tolist() == [[1, 2], [1, 2]]
    assert caption_rows(prompts, ["a", "b"], "blip2", "llama3").tolist() == [[1, 2, 3], [1, 2, 3]]
    with pytest.raises(DifflabError, match=r"no 'cogvlm' captions .* only blip2, blip2-1, empty, llama3"):
        caption_rows(prompts, ["a"], "cogvlm")


def test_an_empty_split_is_refused():
    with pytest.raises(DifflabError, match="no sample to train on"):
        Examples(FakeLatents(["x"]), FakePrompts(3), [], torch.zeros(0, 1))

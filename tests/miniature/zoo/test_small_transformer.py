"""The miniature's base: its start, and its files."""

import pytest
import torch

from difflab.miniature.zoo import small_transformer as zoo_transformer
from difflab.models.pretrained import load_scheduler, load_transformer
from fakes import zoo

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
    transformer = zoo_transformer.build(params, 0, **WIDTHS).eval()
    x = torch.randn(3, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    prompts = torch.randn(2, 3, 6, 24), torch.randn(2, 3, 12)
    first, second = (velocity(transformer, x, p, q) for p, q in zip(*prompts, strict=True))
    assert torch.equal(first, second)
    correlation = torch.corrcoef(torch.stack([x.flatten(), first.flatten()]))[0, 1]
    assert correlation > 0.7


def test_the_zeros_open_within_a_few_steps(params):
    transformer = zoo_transformer.build(params, 0, **WIDTHS)
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
        return torch.cat([p.flatten() for p in zoo_transformer.build(params, seed, **WIDTHS).parameters()])

    first = weights(0)
    torch.manual_seed(9)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


def test_transformer_and_scheduler_load_as_they_were_saved(params, tmp_path):
    transformer = zoo_transformer.build(params, 0, **WIDTHS)
    transformer.save_pretrained(tmp_path / "transformer")
    zoo_transformer.write_scheduler(tmp_path, shift=3.0)
    loaded = load_transformer(tmp_path)
    assert not loaded.training
    for (name, one), two in zip(transformer.named_parameters(), loaded.parameters(), strict=True):
        assert torch.equal(one, two), name
    assert load_transformer(tmp_path, dtype=torch.bfloat16).dtype == torch.bfloat16
    assert load_scheduler(tmp_path).config.shift == 3.0

"""Taking a block away: each way does what it says, against the library or a closed form, and leaves nothing behind."""

import numpy as np
import pytest
import torch

from difflab.core.base.errors import DifflabError
from difflab.sd3.blocks.ablation import ablated, mean_updates
from difflab.sd3.blocks.ranking import ranks
from difflab.sd3.blocks.ways import BYPASS, MEAN, PATCHES, TEXT, WAYS
from fakes.flow import CHANNELS, JOINT, POOLED, SIZE, TOKENS, tiny_transformer

TIMESTEPS = torch.tensor([100.0, 900.0])


def inputs(count=2, seed=0, timestep=100.0):
    made = torch.Generator().manual_seed(seed)
    return {
        "hidden_states": torch.randn(count, CHANNELS, SIZE, SIZE, generator=made),
        "timestep": torch.full((count,), timestep),
        "encoder_hidden_states": torch.randn(count, TOKENS, JOINT, generator=made),
        "pooled_projections": torch.randn(count, POOLED, generator=made),
    }


@torch.no_grad()
def output(transformer, given, **options):
    return transformer(**given, return_dict=False, **options)[0]


def transformer_of(num_layers=3, **changes):
    return tiny_transformer(num_layers=num_layers, **changes).eval()


def updates_of(transformer, count=5):
    return mean_updates(transformer, TIMESTEPS, lambda timestep: [inputs(count, seed=1, timestep=timestep)])


@pytest.mark.parametrize("block", [0, 1, 2])
def test_a_bypassed_block_is_one_that_diffusers_skips(block):
    transformer, given = transformer_of(), inputs()
    with ablated(transformer, block, BYPASS):
        found = output(transformer, given)
    assert torch.equal(found, output(transformer, given, skip_layers=[block]))


def test_without_text_the_only_block_does_not_depend_on_it():
    transformer, given = transformer_of(1), inputs()
    other = given | {"encoder_hidden_states": inputs(seed=9)["encoder_hidden_states"]}
    assert not torch.allclose(output(transformer, given), output(transformer, other))
    with ablated(transformer, 0, TEXT):
        assert torch.equal(output(transformer, given), output(transformer, other))


def test_text_of_another_block_is_still_read():
    transformer, given = transformer_of(), inputs()
    other = given | {"encoder_hidden_states": inputs(seed=9)["encoder_hidden_states"]}
    with ablated(transformer, 0, TEXT):
        assert not torch.allclose(output(transformer, given), output(transformer, other))


@pytest.mark.parametrize("dual", [(), (0,)], ids=["SD3", "SD3.5"])
def test_patches_apart_do_not_see_each_other(dual):
    """Of one block a changed patch (2 x 2 latents) changes its own output alone, and it reads the text."""
    transformer, given = transformer_of(1, dual_attention_layers=dual), inputs()
    changed = given | {"hidden_states": given["hidden_states"].clone()}
    changed["hidden_states"][:, :, :2, :2] += 1
    elsewhere = torch.ones(SIZE, SIZE, dtype=torch.bool)
    elsewhere[:2, :2] = False

    def moved():
        return (output(transformer, given) - output(transformer, changed)).abs().amax((0, 1))

    assert (moved()[elsewhere] > 1e-6).all()
    with ablated(transformer, 0, PATCHES):
        assert (moved()[elsewhere] < 1e-6).all()
        assert (moved()[~elsewhere] > 1e-4).all()
        other = given | {"encoder_hidden_states": inputs(seed=9)["encoder_hidden_states"]}
        assert not torch.allclose(output(transformer, given), output(transformer, other))


@pytest.mark.parametrize("block", [0, 1, 2])
def test_the_mean_of_a_single_sample_is_its_own_update(block):
    transformer, given = transformer_of(), inputs(1)
    updates = mean_updates(transformer, TIMESTEPS[:1], lambda timestep: [given])
    with ablated(transformer, block, MEAN, updates):
        torch.testing.assert_close(output(transformer, given), output(transformer, given), rtol=1e-5, atol=1e-5)


def test_with_its_mean_the_only_block_says_the_same_for_every_prompt():
    transformer, given = transformer_of(1), inputs()
    other = given | {"encoder_hidden_states": inputs(seed=9)["encoder_hidden_states"]}
    with ablated(transformer, 0, MEAN, updates_of(transformer)):
        assert torch.equal(output(transformer, given), output(transformer, other))


def test_means_are_over_samples_whatever_the_batches():
    transformer, given = transformer_of(), inputs(6)
    parts = [{name: value[part] for name, value in given.items()} for part in (slice(0, 4), slice(4, 6))]
    whole, split = (mean_updates(transformer, TIMESTEPS[:1], lambda _, b=b: b) for b in ([given], parts))
    for a, b in zip(whole.patches + whole.text[:-1], split.patches + split.text[:-1], strict=True):
        torch.testing.assert_close(a, b)
    assert whole.text[-1] is None  # the last block drops the text
    assert whole.patches[0].shape == (1, 4, 16)
    assert whole.text[0].shape == (1, TOKENS, 16)


def test_each_sample_takes_the_mean_of_the_nearest_level():
    updates = updates_of(transformer_of())
    _, patches = updates.of(0, torch.tensor([899.0, 0.0, 901.0]))
    assert torch.equal(patches, updates.patches[0][[1, 0, 1]])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fails", [False, True], ids=["ends", "fails"])
def test_nothing_is_left_behind(way, fails):
    transformer, given = transformer_of(dual_attention_layers=(1,)), inputs()
    before, updates = output(transformer, given), updates_of(transformer)
    processors = dict(transformer.attn_processors)
    with ablated(transformer, 1, way, updates):
        assert not torch.equal(output(transformer, given), before)
    with pytest.raises(ZeroDivisionError) if fails else ablated(transformer, 1, way, updates):
        if fails:
            with ablated(transformer, 1, way, updates):
                raise ZeroDivisionError
    assert torch.equal(output(transformer, given), before)
    assert transformer.attn_processors == processors
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in transformer.modules())


def test_no_hook_is_left_where_the_means_cannot_be_measured():
    transformer = transformer_of()
    with pytest.raises(AttributeError):
        mean_updates(transformer, TIMESTEPS, lambda timestep: [{"hidden_states": None}])
    assert not any(module._forward_hooks for module in transformer.modules())


def test_gradients_pass_through_a_mask():
    transformer, given = transformer_of(), inputs()
    with ablated(transformer, 0, TEXT):
        transformer(**given, return_dict=False)[0].sum().backward()
    assert transformer.transformer_blocks[0].attn.to_k.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("planted", [0, 1, 2])
def test_the_block_that_was_made_decisive_is_found(way, planted):
    """The others add a hundredth of what they did."""
    transformer, given = transformer_of(), inputs(8)
    with torch.no_grad():
        for number, block in enumerate(transformer.transformer_blocks):
            outs = [
                block.attn.to_out[0],
                block.ff.net[2],
                block.attn.to_add_out,
                block.ff_context and block.ff_context.net[2],
            ]
            for layer in filter(None, outs):
                layer.weight.mul_(3.0 if number == planted else 0.01)
                layer.bias.mul_(3.0 if number == planted else 0.01)
    whole, updates, effects = output(transformer, given), updates_of(transformer), []
    for block in range(3):
        with ablated(transformer, block, way, updates):
            effects.append((output(transformer, given) - whole).square().mean().item())
    assert int(np.argmin(ranks(np.array(effects)))) == planted


@pytest.mark.parametrize(
    ("block", "way", "message"),
    [
        (3, BYPASS, "block 3 does not exist: the transformer has 0 to 2"),
        (-1, BYPASS, "block -1 does not exist"),
        (0, "delete", "there is no way 'delete' to take a block away: one of mean, bypass, text, patches"),
        (0, MEAN, "mean ablation needs the mean updates of the blocks"),
    ],
)
def test_bad_input_is_refused(block, way, message):
    with pytest.raises(DifflabError, match=message), ablated(transformer_of(), block, way):
        pass


def test_the_ways_are_those_of_the_documentation(root):
    text = (root / "docs/blocks.md").read_text()
    assert all(f"`{way}`" in text for way in WAYS)

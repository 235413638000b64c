"""How far an adapter moves its base, against the matrices in full."""

import pytest
import torch

from difflab.core.base.errors import DifflabError
from difflab.sd3.artifacts.adapters import adapt
from difflab.sd3.blocks.drift import cosine, drift, updates
from fakes.flow import lora_settings, tiny_transformer


def adapted(seed=0, **changes):
    """A tiny transformer whose adapter does something."""
    transformer = tiny_transformer()
    adapt(transformer, lora_settings(**changes), seed=1)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in transformer.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return transformer


def in_full(transformer):
    """The updates as PEFT merges them."""
    layers = dict(transformer.named_modules())
    return {name: layers[name].get_delta_weight("default").detach().double() for name in updates(transformer)}


def test_norms_and_singular_values_are_those_of_the_update_in_full():
    transformer = adapted(alpha=8.0)
    found, full = updates(transformer), in_full(transformer)
    rows = {f"transformer_blocks.{row['block']}.{row['target']}": row for row in drift(found)}
    assert rows.keys() == full.keys()
    weights = dict(transformer.named_modules())
    for name, delta in full.items():
        values = torch.linalg.svdvals(delta)
        norm = torch.linalg.norm(delta)
        torch.testing.assert_close(found[name].singular_values, values[:4], rtol=1e-5, atol=1e-6)
        assert rows[name]["norm"] == pytest.approx(norm.item(), rel=1e-5)
        assert rows[name]["largest"] == pytest.approx(values[0].item(), rel=1e-5)
        weight = weights[name].base_layer.weight.norm().item()
        assert rows[name]["relative"] == pytest.approx(norm.item() / weight, rel=1e-5)
        assert rows[name]["effective_rank"] == pytest.approx((norm / values[0]).item() ** 2, rel=1e-5)


def test_the_cosine_is_that_of_the_updates_as_vectors():
    one, two = adapted(0), adapted(1)
    a, b = (torch.cat([d.flatten() for d in in_full(t).values()]) for t in (one, two))
    expected = torch.nn.functional.cosine_similarity(a, b, dim=0).item()
    assert cosine(updates(one), updates(two)) == pytest.approx(expected, abs=1e-6)
    assert cosine(updates(one), updates(one)) == pytest.approx(1)


def test_layers_of_one_adapter_alone_count_as_not_moved_by_the_other():
    one, two = adapted(0, blocks=[0]), adapted(1, blocks=[2])
    assert cosine(updates(one), updates(two)) == 0


def test_a_fresh_adapter_moves_nothing():
    transformer = tiny_transformer()
    adapt(transformer, lora_settings(), seed=1)
    found = updates(transformer)
    assert {row["relative"] for row in drift(found)} == {row["effective_rank"] for row in drift(found)} == {0.0}
    assert cosine(found, found) == 0


def test_a_base_alone_is_refused():
    with pytest.raises(DifflabError, match="the transformer has no adapter"):
        updates(tiny_transformer())

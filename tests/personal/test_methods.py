"""Each method trains what it says and no more, and its files load elsewhere and on their own base only."""

import pytest
import torch
from diffusers import StableDiffusionPipeline

from difflab.core.base.errors import DifflabError
from difflab.personal import methods
from difflab.personal.base import Base
from difflab.personal.words import Words
from fakes import tiny_pipelines

WORDS, ORIGIN = Words("sks", "digit"), "0123456789abcdef"


def noisy(base):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 4, 4, 4, generator=generator), torch.tensor([100, 700])


@torch.no_grad()
def predicted(base, prompt="sks digit"):
    return base.predict(*noisy(base), base.encode([prompt] * 2))


def names(module):
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


def test_lora_trains_adapters_of_the_network_alone_and_changes_nothing_at_first(base, params):
    before = predicted(base)
    trained = methods.prepare(base, "lora", params().lora, WORDS, 0)
    assert names(trained)
    assert all(".lora_" in name for name in names(trained))
    assert not names(base.text_encoder())
    torch.testing.assert_close(predicted(base), before)


def test_lora_text_trains_adapters_of_both(base, params):
    trained = methods.prepare(base, "lora_text", params().lora, WORDS, 0)
    assert {name.split(".")[0] for name in names(trained)} == {"network", "text_encoder"}
    assert all(".lora_" in name for name in names(trained))


def test_full_trains_every_weight_of_the_network(base, params):
    trained = methods.prepare(base, "full", params().lora, WORDS, 0)
    assert len(names(trained)) == len(list(base.network.parameters()))
    assert not names(base.text_encoder())


def test_textual_inversion_trains_one_vector_that_starts_as_the_class_word(base, params):
    expected = predicted(base, "digit")
    trained = methods.prepare(base, "textual_inversion", params().lora, WORDS, 0)
    (vector,) = (p for p in trained.parameters() if p.requires_grad)
    assert vector.shape == (16,)
    torch.testing.assert_close(predicted(base, "<sks>"), expected)
    vector.data.add_(1)
    assert not torch.allclose(predicted(base, "<sks>"), expected)
    torch.testing.assert_close(predicted(base, "digit"), expected)


def shaken(base, method, params):
    """A base whose trained parameters are not what they began as."""
    trained = methods.prepare(base, method, params().lora, WORDS, 0)
    generator = torch.Generator().manual_seed(1)
    for parameter in trained.parameters():
        if parameter.requires_grad:
            parameter.data.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return base


@pytest.mark.parametrize("method", ["lora", "lora_text"])
def test_a_saved_adapter_is_read_back_and_by_diffusers_itself(tmp_path, base, params, method):
    expected = predicted(shaken(base, method, params))
    methods.save(tmp_path, base, method, params().lora, WORDS, ORIGIN)
    again = Base(tiny_pipelines.pipeline("sd"))
    methods.load_adapter(tmp_path, again, ORIGIN)
    torch.testing.assert_close(predicted(again), expected)
    pipeline = tiny_pipelines.pipeline("sd")
    pipeline.load_lora_weights(tmp_path)
    torch.testing.assert_close(predicted(Base(pipeline)), expected)


def test_a_saved_embedding_is_read_by_diffusers_itself(tmp_path, base, params):
    expected = predicted(shaken(base, "textual_inversion", params), "a <sks>")
    methods.save(tmp_path, base, "textual_inversion", params().lora, WORDS, ORIGIN)
    tiny_pipelines.pipeline("sd").save_pretrained(tmp_path / "base")
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / "base", safety_checker=None)
    pipeline.load_textual_inversion(tmp_path, weight_name=methods.EMBEDDING_FILE)
    torch.testing.assert_close(predicted(Base(pipeline), "a <sks>"), expected)


def test_a_saved_network_is_the_trained_one(tmp_path, base, params):
    shaken(base, "full", params)
    methods.save(tmp_path, base, "full", params().lora, WORDS, ORIGIN)
    again = type(base.network).from_pretrained(tmp_path / "network")
    for name, tensor in base.network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor)


def test_an_adapter_of_another_base_is_refused(tmp_path, base, params):
    methods.save(tmp_path, shaken(base, "lora", params), "lora", params().lora, WORDS, ORIGIN)
    with pytest.raises(DifflabError, match=r"trained on another base \(0123456789abcdef, not ffff\)"):
        methods.load_adapter(tmp_path, Base(tiny_pipelines.pipeline("sd")), "ffff")
    with pytest.raises(DifflabError, match="adapts a unet, which the base does not have"):
        methods.load_adapter(tmp_path, Base(tiny_pipelines.pipeline("sd3")), ORIGIN)


def test_a_missing_or_damaged_adapter_is_named(tmp_path, base):
    with pytest.raises(DifflabError, match="is missing: run `dvc repro personal`"):
        methods.load_adapter(tmp_path, base, ORIGIN)
    (tmp_path / methods.LORA_FILE).write_bytes(b"12345678nothing")
    with pytest.raises(DifflabError, match="unreadable"):
        methods.load_adapter(tmp_path, base, ORIGIN)


def test_sd3_takes_an_adapter_and_refuses_its_text_encoders(params):
    base = Base(tiny_pipelines.pipeline("sd3"))
    methods.prepare(base, "lora", params().lora, WORDS, 0)
    assert names(base.network)
    with pytest.raises(DifflabError, match="three text encoders"):
        methods.prepare(Base(tiny_pipelines.pipeline("sd3")), "lora_text", params().lora, WORDS, 0)


def test_a_target_that_matches_nothing_is_refused(base, params):
    with pytest.raises(DifflabError, match=r"personal.lora.targets: 'to_x' matches no linear layer"):
        methods.prepare(base, "lora", params().lora.model_copy(update={"targets": ["to_x"]}), WORDS, 0)

"""Where words act: recording changes no image, and maps are shares of attention."""

import pytest
import torch
from diffusers.models.attention_processor import Attention

from difflab.ddpm.sampling.attention import Recorder, recorded, word_maps
from difflab.ddpm.sampling.series_sampler import SeriesSampler
from fakes.tiny import denoiser, names, noise, sampling, told

PROMPTS, IDS, STEPS = ["three", "a handwritten four"], names(2), 5


@pytest.fixture(scope="module")
def sampler():
    return SeriesSampler(denoiser("prompted").eval(), (1, 8, 8), [], None)


def images(sampler):
    return sampler.images(IDS, PROMPTS, sampling(num_inference_steps=STEPS), seed=0, batch_size=2)


def test_recording_changes_no_image(sampler):
    without = images(sampler)
    with recorded(sampler.denoiser.network.unet):
        assert (images(sampler) == without).all()


def test_recording_changes_rounding_only(sampler):
    model, x, sigma = sampler.denoiser, noise(2), torch.tensor([0.5, 5.0])
    with torch.no_grad():
        without = model(x, sigma, told("prompted", 2))
        with recorded(model.network.unet):
            torch.testing.assert_close(model(x, sigma, told("prompted", 2)), without, atol=1e-5, rtol=1e-5)


def test_a_map_is_kept_for_each_step_of_each_layer_that_reads_words(sampler):
    unet = sampler.denoiser.network.unet
    layers = [name for name, _ in unet.named_modules() if name.endswith(".attn2")]
    with recorded(unet) as recorders:
        images(sampler)
    assert len(recorders) == len(layers) > 0
    for recorder in recorders:
        assert [kept.shape[0::2] for kept in recorder.maps] == [(2, 3)] * STEPS


def test_a_map_is_softmax_of_query_and_key_averaged_over_heads():
    torch.manual_seed(0)
    layer, recorder = Attention(query_dim=8, cross_attention_dim=6, heads=2, dim_head=4), Recorder()
    pixels, words = torch.randn(2, 16, 8), torch.randn(2, 3, 6)
    layer.set_processor(recorder)
    with torch.no_grad():
        layer(pixels, encoder_hidden_states=words)
        q, k = layer.to_q(pixels), layer.to_k(words)
        heads = [q[..., h] @ k[..., h].transpose(1, 2) / 4**0.5 for h in (slice(0, 4), slice(4, 8))]
    torch.testing.assert_close(recorder.maps[0], sum(scores.softmax(-1) for scores in heads) / 2)


@pytest.mark.parametrize("size", [8, 20])
def test_the_maps_of_all_words_sum_to_one_everywhere(sampler, size):
    with recorded(sampler.denoiser.network.unet) as recorders:
        images(sampler)
    maps = word_maps(recorders, size)
    assert maps.shape == (2, 3, size, size)
    assert maps.min() >= 0
    torch.testing.assert_close(maps.sum(1), torch.ones(2, size, size))


def test_the_old_processors_return_after_the_block(sampler):
    unet = sampler.denoiser.network.unet
    before = dict(unet.attn_processors)
    with recorded(unet) as recorders:
        inside = unet.attn_processors
        assert all(inside[name] is old for name, old in before.items() if ".attn1." in name)
        assert [inside[name] for name in before if ".attn2." in name] == recorders
    assert unet.attn_processors == before


def test_the_old_processors_return_after_an_error(sampler):
    unet = sampler.denoiser.network.unet
    before = dict(unet.attn_processors)
    with pytest.raises(KeyboardInterrupt), recorded(unet):
        raise KeyboardInterrupt
    assert unet.attn_processors == before

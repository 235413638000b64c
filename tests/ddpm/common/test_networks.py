"""The networks of the pixel models: what is built, what is refused, and what comes back from a file."""

import shutil

import pytest
import torch
from diffusers.models.attention_processor import Attention

from difflab.core.base.errors import DifflabError
from difflab.ddpm.common.networks import build_unet, load_denoiser, load_weights, save_denoiser
from fakes.tiny import CLASSES, KINDS, denoiser, network, noise, schedule_params, told, unet_params

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


def equal(a, b):
    ours, theirs = a.state_dict(), b.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prediction", ["epsilon", "flow"])
def test_a_saved_denoiser_gives_the_same_output_bit_for_bit(tmp_path, kind, prediction):
    original = denoiser(kind, prediction, seed=5).eval()
    save_denoiser(tmp_path, original, schedule_params(), classes=CLASSES)
    loaded, description = load_denoiser(tmp_path)
    x, sigma = noise(4), torch.tensor([0.02, 0.4, 3.0, 100.0])
    with torch.no_grad():
        assert torch.equal(loaded(x, sigma, told(kind, 4)), original(x, sigma, told(kind, 4)))
    assert description["classes"] == CLASSES
    assert not loaded.training


@pytest.mark.parametrize("kind", KINDS)
def test_a_denoiser_in_patches_comes_back_with_them(tmp_path, kind):
    original = denoiser(kind, patch_size=2).eval()
    save_denoiser(tmp_path, original, schedule_params(), classes=CLASSES)
    loaded, _ = load_denoiser(tmp_path)
    x, sigma = noise(4), torch.tensor([0.02, 0.4, 3.0, 100.0])
    with torch.no_grad():
        assert torch.equal(loaded(x, sigma, told(kind, 4)), original(x, sigma, told(kind, 4)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_trained_in_another_memory_layout_is_saved_as_well(tmp_path, kind):
    original = denoiser(kind, seed=5).to(memory_format=torch.channels_last)
    save_denoiser(tmp_path, original, schedule_params())
    assert equal(load_denoiser(tmp_path)[0], original)


def test_the_schedule_comes_back_from_the_file(tmp_path):
    save_denoiser(tmp_path, denoiser(), schedule_params(kind="cosine", num_train_timesteps=50))
    assert len(load_denoiser(tmp_path)[0].schedule) == 50


def test_a_prompted_network_keeps_its_words(tmp_path):
    original = denoiser("prompted")
    save_denoiser(tmp_path, original, schedule_params())
    ours, theirs = (d.network.prompts.vocabulary for d in (original, load_denoiser(tmp_path)[0]))
    assert (ours.words, ours.length) == (theirs.words, theirs.length)


def test_a_missing_denoiser_says_how_to_make_it(tmp_path):
    with pytest.raises(DifflabError, match=r"denoiser\.json is missing: run `dvc repro` \(or `dvc pull`\)"):
        load_denoiser(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        (
            {"block_out_channels": [16, 16]},
            {},
            r"size mismatch for conv_in\.weight: .*\[16, 1, 3, 3\]\) from checkpoint.*\[8, 1, 3, 3\]",
        ),
        ({}, {"kind": "by class"}, r'Missing key.*: "class_embedding\.weight"'),
        ({"kind": "by class"}, {}, r'Unexpected key.*: "class_embedding\.weight"'),
        ({}, {"layers_per_block": 2}, r'Missing key.*: "down_blocks\.0\.resnets\.1\.'),
    ],
)
def test_the_checkpoint_of_another_architecture_names_the_first_tensor_that_does_not_fit(
    tmp_path, theirs, ours, message
):
    network(**theirs).save_pretrained(tmp_path / "unet")
    with pytest.raises(DifflabError, match=f"is the checkpoint of another architecture: {message}") as error:
        load_weights(network(**ours), tmp_path / WEIGHTS)
    assert "\n" not in str(error.value)
    assert len(str(error.value).partition("architecture")[2]) < 250


def test_the_weights_of_another_network_are_refused_when_a_denoiser_is_loaded(tmp_path):
    for name, width in (("narrow", 8), ("wide", 16)):
        (tmp_path / name).mkdir()
        save_denoiser(tmp_path / name, denoiser(block_out_channels=[8, width]), schedule_params())
    shutil.copy(tmp_path / "wide" / WEIGHTS, tmp_path / "narrow" / WEIGHTS)
    with pytest.raises(DifflabError, match=r"narrow.*another architecture: .*down_blocks\.1\."):
        load_denoiser(tmp_path / "narrow")


@pytest.mark.parametrize("options", [{}, {"cross_attention_dim": 8}])
def test_a_size_that_cannot_be_halved_is_refused(options):
    params = unet_params(block_out_channels=[8, 8, 8])
    with pytest.raises(DifflabError, match=r"^images of 10 pixels cannot be halved 2 times: give block_out"):
        build_unet(params, size=10, channels=1, seed=0, **options)
    assert build_unet(params, size=12, channels=1, seed=0, **options).config.sample_size == 12


def test_a_width_that_its_norm_groups_do_not_divide_is_refused_by_the_parameters():
    with pytest.raises(ValueError, match="norm_num_groups 8 does not divide the width 12"):
        unet_params(block_out_channels=[8, 12], norm_num_groups=8)


def test_attention_at_a_level_that_does_not_exist_is_refused_by_the_parameters():
    with pytest.raises(ValueError, match="attention_levels has 2, but the levels go from 0 to 1"):
        unet_params(attention_levels=[2])


@pytest.mark.parametrize("kind", KINDS)
def test_weights_depend_on_the_seed_only(kind):
    torch.manual_seed(5)
    first = network(kind)
    torch.manual_seed(6)
    assert equal(first, network(kind))
    assert not equal(first, network(kind, seed=1))


def test_a_new_network_predicts_zero():
    unet = build_unet(unet_params(), size=8, channels=3, seed=0)
    assert unet(noise(2, channels=3), torch.tensor([3.0, 700.0])).sample.abs().max() == 0


@pytest.mark.parametrize(("options", "name"), [({}, "Attn"), ({"cross_attention_dim": 8}, "CrossAttn")])
def test_attention_stands_at_its_levels_on_the_way_down_and_up(options, name):
    params = unet_params(block_out_channels=[8, 8, 8], attention_levels=[1])
    unet = build_unet(params, size=8, channels=1, seed=0, **options)
    assert [type(block).__name__.startswith(name) for block in unet.down_blocks] == [False, True, False]
    assert [type(block).__name__.startswith(name) for block in unet.up_blocks] == [False, True, False]


def test_without_levels_there_is_no_attention():
    assert not any(isinstance(module, Attention) for module in network().modules())


def test_a_drunet_is_refused_a_condition_and_attention():
    params = unet_params(kind="drunet")
    for condition in ({"num_classes": 3}, {"cross_attention_dim": 8}):
        with pytest.raises(DifflabError, match="a drunet cannot be told a class or a prompt"):
            build_unet(params, size=8, channels=1, seed=0, **condition)
    with pytest.raises(ValueError, match="a drunet has no attention"):
        unet_params(kind="drunet", attention_levels=[0])


def test_heads_are_as_wide_as_the_parameter_says():
    params = unet_params(block_out_channels=[8, 16], attention_levels=[0, 1], attention_head_dim=4)
    for unet in (
        build_unet(params, size=8, channels=1, seed=0),
        build_unet(params, size=8, channels=1, seed=0, cross_attention_dim=8),
    ):
        attentions = [module for module in unet.modules() if isinstance(module, Attention)]
        assert {module.inner_dim // module.heads for module in attentions} == {4}


def test_a_width_that_heads_do_not_divide_is_refused_by_the_parameters():
    with pytest.raises(ValueError, match="attention_head_dim 5 does not divide the width 8"):
        unet_params(attention_levels=[0], attention_head_dim=5)


def test_patches_make_a_network_at_fewer_places():
    unet = build_unet(unet_params(patch_size=2), size=8, channels=3, seed=0)
    assert (unet.config.sample_size, unet.config.in_channels, unet.config.out_channels) == (4, 12, 12)
    with pytest.raises(DifflabError, match=r"images of 10 pixels cannot be halved 1 times, after patches of 2"):
        build_unet(unet_params(patch_size=2), size=10, channels=3, seed=0)

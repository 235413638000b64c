"""The released configurations: known sizes at full width, networks that can be at a reduced one."""

import pytest

from difflab.core.base.errors import DifflabError
from difflab.rehearsal import published, standins

# Parameters in millions, as the cards, papers and files of the models say (BLIP-2 without the second embedding of its T5).
MILLIONS = {
    "clip_l": 123.7, "clip_g": 694.7, "clip_h": 340.4, "clip_l_without_projection": 123.1, "t5_xxl": 4762, "sd3": 2028,
    "sd35_medium": 2243, "sd35_large": 8056, "vae_16": 83.8, "vae_4": 83.7, "vae_15": 83.7, "vae_xl": 83.7,
    "unet_15": 859.5, "unet_21": 865.9, "unet_turbo": 865.9, "unet_xl": 2567, "blip2_coco": 3877, "blip2": 3876,
    "llama_8b": 8030, "llama_1b": 1236, "gemma_1b": 1000, "llava_7b": 7063, "clip": 427.6, "vit": 86.6, "clip_b": 151.3,
    "dino": 21.7,
}  # fmt: skip


@pytest.mark.parametrize("name", MILLIONS)
def test_a_network_has_the_released_number_of_parameters(name):
    part = published.part(name)
    counted = standins.parameters(part["class"], part["config"], part.get("options"))
    assert counted / 1e6 == pytest.approx(MILLIONS[name], rel=0.005)


@pytest.mark.parametrize("name", MILLIONS)
def test_a_reduced_network_is_of_the_same_class_and_a_thousandth_of_the_size(name):
    part = published.part(name)
    small = published.config(name, 64, 64, 500)
    assert small.keys() >= part["config"].keys()
    assert standins.parameters(part["class"], small) < 5e6


def test_every_part_has_a_known_size():
    assert set(MILLIONS) == set(published.parts())


def test_all_repositories_name_known_parts():
    for repo_id in published.repositories():
        own = published.repository(repo_id)
        assert all(published.part(name)["class"] for name in own["models"].values())
        if "scheduler" in own:
            assert published.scheduler(own["scheduler"])["num_train_timesteps"] == 1000


def test_an_unknown_repository_is_named_with_those_that_are_known():
    with pytest.raises(DifflabError, match=r"configuration of mine/model .* google/gemma-3-1b-it"):
        published.repository("mine/model")


@pytest.mark.parametrize(("width", "size"), [(0, 64), (96, 64), (-64, 64), (64, 32), (64, 100), (64, 0)])
def test_sizes_that_no_network_can_have_are_refused(width, size):
    with pytest.raises(DifflabError, match="take a multiple of 64"):
        published.check_size(width, size)


@pytest.mark.parametrize("size", [64, 128, 256, 1024])
def test_sizes_of_the_profiles_are_taken(size):
    published.check_size(128, size)

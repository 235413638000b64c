"""The network of each setting, and what it is told about its images."""

import pytest
import torch

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.numerals import NUMBER_WORDS
from difflab.ddpm.networks.prompts import digit_prompts
from difflab.ddpm.setting_networks import build_network, conditions
from difflab.ddpm.settings import BY_CLASS, SETTINGS
from fakes.tiny import CLASSES, names, noise, setting_params


def built(setting, classes=CLASSES):
    return build_network(setting, setting_params(setting), size=8, channels=1, classes=classes, seed=0)


def draw_all(told, count):
    keys = rng.id_keys(names(count))
    return told.draw(torch.arange(count), keys, torch.zeros(count, dtype=torch.bool))


@pytest.mark.parametrize("setting", SETTINGS)
def test_each_network_takes_what_it_is_told(setting):
    labels = ["three", "one"] if setting == "text" else ["owl", "cat"]
    network = built(setting)
    told = conditions(setting, network, labels, CLASSES)
    arguments = {} if told is None else draw_all(told, 2)
    assert list(arguments) == (["class_labels"] if setting in BY_CLASS else ["tokens"] if setting == "text" else [])
    x = noise(2)
    assert network(x, torch.tensor([3.0, 300.0]), **arguments, return_dict=False)[0].shape == x.shape


@pytest.mark.parametrize("setting", BY_CLASS)
def test_a_network_by_class_has_one_number_for_no_class(setting):
    assert built(setting).config.num_class_embeds == len(CLASSES) + 1
    told = conditions(setting, built(setting), ["owl", "cat"], CLASSES)
    assert draw_all(told, 2)["class_labels"].tolist() == [2, 0]


@pytest.mark.parametrize("classes", [sorted(NUMBER_WORDS), ["eight", "three"], list(NUMBER_WORDS)])
def test_a_digit_is_asked_for_by_its_own_name(classes):
    """Whatever the order of the classes (alphabetical in training), and where some digits are missing."""
    network = built("text", classes)
    tokens = draw_all(conditions("text", network, classes, classes), len(classes))["tokens"]
    for name, row in zip(classes, tokens, strict=True):
        known = network.prompts.vocabulary.encode(digit_prompts(NUMBER_WORDS.index(name)))
        assert (known == row).all(1).any()


def test_an_unknown_class_is_refused():
    with pytest.raises(DifflabError, match="unknown class 'fox': the model knows cat, dog, owl"):
        conditions("latent", built("latent"), ["fox"], CLASSES)

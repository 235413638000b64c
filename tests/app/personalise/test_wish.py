from dataclasses import replace

import pytest
import yaml

from difflab.app.personalise.wish import LEFT_OUT, check, job_values, methods_of
from difflab.cli.compose import compose, validate
from difflab.core.base.errors import DifflabError
from fakes.personalised import WISH

FIVE = [""] * 5


@pytest.fixture(scope="module")
def values(root):
    return yaml.safe_load(compose(conf=root / "conf"))


def test_a_usual_wish_is_taken():
    check(WISH, FIVE)
    check(replace(WISH, class_word="", instance_prompt="{token} on a beach"), FIVE)
    check(replace(WISH, prior="output", method="full"), ["a dog on a beach", "sks asleep", "", "", ""])


@pytest.mark.parametrize(
    ("changes", "captions", "line"),
    [
        ({}, [], "there are no pictures yet"),
        ({}, [""], "1 picture is too few"),
        ({}, [""] * 200, "200 pictures are too many"),
        ({"token": ""}, FIVE, "the name in prompts is one rare word"),
        ({"token": "s k s"}, FIVE, "the name in prompts is one rare word"),
        ({"instance_prompt": "a photo of a dog"}, FIVE, "'a photo of a dog' lacks the subject's name"),
        ({"class_word": " ", "prior": "output"}, FIVE, "the class word is missing: it is what the prior keeps"),
        ({"class_word": "", "method": "textual_inversion"}, FIVE, "class word is missing: textual inversion starts"),
        ({"method": "../lora"}, FIVE, "unknown method"),
        ({"steps": 0}, FIVE, "0 steps: take 1 to 5000"),
        ({"steps": 10**6}, FIVE, "steps: take 1 to 5000"),
        ({"class_word": "dog" * 50}, FIVE, "the class word has 150 characters: at most 40"),
        ({}, ["a cat", "", "", "", ""], "the caption of picture 1, 'a cat', names no subject"),
    ],
)
def test_what_cannot_be_trained_is_one_line(changes, captions, line):
    with pytest.raises(DifflabError, match=line) as caught:
        check(replace(WISH, **changes), captions)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["lora", "lora_text", "full", "textual_inversion"])
def test_every_method_gives_parameters_that_the_stage_takes(values, tmp_path, method):
    wish = replace(WISH, method=method, prior="output", steps=7, seed=3)
    found = validate(yaml.safe_dump(job_values(wish, 9, tmp_path, values)), "params.yaml")
    personal = found.personal
    assert (personal.methods, personal.seeds, personal.training.steps) == ([method], [3], 7)
    assert personal.pictures == [9 - LEFT_OUT]
    assert [(s.name, s.class_word) for s in personal.subjects] == [("subject", "dog")]
    assert found.data.data_root == str(tmp_path)
    assert not found.tracking.enabled


def test_what_is_not_asked_for_stays_as_it_is_here(values, tmp_path):
    found = job_values(WISH, 5, tmp_path, values)
    changed = {group for group in values if values[group] != found[group]}
    assert changed == {"personal", "data", "tracking"}
    assert found["personal"]["lora"] == values["personal"]["lora"]


def test_stable_diffusion_3_takes_the_methods_without_a_text_encoder(root):
    sd3 = validate(compose(["profile=paper", "experiment=personal_sd3"], root / "conf"), "params.yaml").personal
    sd1 = validate(compose(["profile=paper"], root / "conf"), "params.yaml").personal
    assert list(methods_of(sd3)) == ["lora", "full"]
    assert len(methods_of(sd1)) == 4

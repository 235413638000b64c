"""Parameters that cannot be studied are refused by one line, before anything runs."""

import pytest

from difflab.cli.compose import compose, validate
from difflab.core.base.errors import DifflabError


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("personal.instance_prompt=a photo of a dog", "lacks the token 'sks'"),
        ("personal.subjects=[{name: cross, class_word: null}]", "cross has no class_word, which a prior keeps"),
        ("personal.subjects=[{name: a, class_word: b}, {name: a, class_word: b}]", "subjects names a twice"),
        ("personal.prompts=[a photo]", r"'a photo' must hold \{\} once"),
        ("personal.curve_steps=[50]", "curve_steps has 50, and there are 50 steps"),
        ("personal.token=two words", "token"),
        ("personal.pictures=[]", "pictures"),
        ("personal.base.distilled=true", "distilled must be false"),
        (
            "personal.methods=[full]",
            "curve_method is lora, without a prior: methods and priors must list lora and none",
        ),
        (
            "personal.priors=[images]",
            "curve_method is lora, without a prior: methods and priors must list lora and none",
        ),
        (
            "personal.prompts=['{} over {place}']",
            r"must hold \{\} once, where the subject is named, and no other brace",
        ),
        ("personal.instance_prompt='a {clas} {token}'", r"\{token\} and \{class\} are all that is replaced"),
        ("personal.token=digit", "token 'digit' is the class word too"),
        ("personal.subjects=[{name: ../a, class_word: b}]", r"subjects\.0\.name"),
    ],
)
def test_settings_that_mean_nothing_are_refused(root, override, message):
    with pytest.raises(DifflabError, match=message):
        validate(compose([override], root / "conf"), "params.yaml")


@pytest.mark.parametrize(
    "overrides", [["profile=paper"], ["profile=paper", "experiment=personal_sd3"], ["profile=laptop"]]
)
def test_every_profile_names_its_base_by_a_pinned_revision(root, overrides):
    hub = validate(compose(overrides, root / "conf"), "params.yaml").personal.base.hub
    assert hub is None or len(hub.revision) == 40


def test_textual_inversion_needs_no_prior_for_its_curve(root):
    overrides = ["personal.methods=[textual_inversion]", "personal.curve_method=textual_inversion"]
    validate(compose([*overrides, "personal.priors=[images]"], root / "conf"), "params.yaml")

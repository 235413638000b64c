"""Composing params.yaml, and errors that say what there is."""

import pytest
from omegaconf import OmegaConf

from difflab.cli.compose import choices, compose, difference, validate
from difflab.core.base.errors import DifflabError
from difflab.core.params.base import dotted


@pytest.fixture(scope="module")
def conf(root):
    return root / "conf"


def test_an_override_changes_its_value_and_nothing_else(conf):
    before = OmegaConf.create(compose(conf=conf))
    after = OmegaConf.create(compose(["logit_mean.minus=-0.75"], conf))
    assert after.logit_mean.minus == -0.75
    after.logit_mean.minus = before.logit_mean.minus
    assert after == before


def test_a_profile_is_a_set_of_overrides(conf):
    default, smoke = (OmegaConf.create(compose(o, conf)) for o in ([], ["profile=smoke"]))
    assert (default.profile, smoke.profile) == ("tiny", "smoke")
    assert smoke.finetune.training.steps < default.finetune.training.steps


def test_an_override_beats_the_profile(conf):
    assert OmegaConf.create(compose(["seed=7", "profile=smoke"], conf)).seed == 7


def test_the_default_profile_is_the_study_as_conf_writes_it(conf):
    assert compose(conf=conf) == compose(["profile=tiny"], conf)
    assert choices("profile", conf) == ["laptop", "paper", "smoke", "tiny"]


@pytest.mark.parametrize("card", ["24gb", "48gb", "80gb"])
def test_a_card_keeps_the_published_training_and_spares_memory(conf, card):
    """Batch sizes change results by rounding alone; what decides them stays as published."""
    published, fitted = (
        validate(compose(o, conf), card) for o in (["profile=paper"], [f"hardware={card}", "profile=paper"])
    )
    training = fitted.finetune.training
    assert training.batch_size * training.gradient_accumulation_steps == 60
    changed = {
        key: value for key, value in dotted(fitted.model_dump()).items() if value != dotted(published.model_dump())[key]
    }
    allowed = (
        "batch_size",
        "sampling_batch_size",
        "gradient_accumulation_steps",
        "gradient_checkpointing",
        "vae",
        "offload",
    )
    left_out = {"personal.methods"} if card == "24gb" else set()  # training all of a U-Net does not fit
    others = {key for key in changed if not key.startswith("hardware.")} - left_out
    assert {key.rpartition(".")[2] for key in others} <= set(allowed)
    assert fitted.hardware.card == card
    assert "tiled" not in changed.values()
    assert fitted.finetune.base == "full"


def test_models_that_are_trained_here_are_never_called_comparable(conf):
    with pytest.raises(DifflabError, match=r"report\.comparable is true, and zoo\.transformer\.hub is null"):
        validate(compose(["report.comparable=true"], conf), "here")
    assert validate(compose(["profile=paper"], conf), "here").report.comparable


def test_a_card_is_refused_where_it_would_change_the_miniatures_training(conf):
    with pytest.raises(
        DifflabError, match=r"hardware is 24gb, whose batch sizes are for released models.*profile=paper"
    ):
        validate(compose(["hardware=24gb"], conf), "here")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hardware=8gb", "there is no hardware '8gb', only 24gb, 48gb, 80gb"),
        ("profile=huge", "there is no profile 'huge', only laptop, paper, smoke, tiny"),
        ("experiment=nope", "there is no experiment 'nope', only "),
        ("quite.else=1", r"^unknown parameter 'quite.else'$"),
        ("finetune.lora.rnk=3", r"^unknown parameter 'finetune.lora.rnk'; did you mean 'finetune.lora.rank'"),
        ("seed=[1", r"^-S 'seed=\[1' cannot be read: .* a bracket is closed$"),
        ("data.own=~/my pictures", r"^-S 'data\.own=~/my pictures' cannot be read: .* in quotes of its own, as -S"),
        ("foo", r"^-S 'foo' is no value of a parameter: write -S KEY=VALUE"),
        ("", r"^-S '' is no value of a parameter: "),
        ("=3", r"^-S '=3' is no value of a parameter: "),
        ("seed=range(1,3)", r"^-S seed=range\(1,3\) names several values: "),
        ("seed=1,2", r"^-S seed=1,2 names several values: `dvc exp run --queue` .* -S 'seed=\[1,2\]'$"),
    ],
)
def test_a_bad_override_is_one_line(conf, override, message):
    with pytest.raises(DifflabError, match=message) as caught:
        compose([override], conf)
    assert "\n" not in str(caught.value)


def test_a_value_out_of_range_names_its_key(conf):
    with pytest.raises(DifflabError, match=r"^here: parameter 'split\.val_fraction': .*less than 1"):
        validate(compose(["split.val_fraction=1.5"], conf), "here")


def test_a_folder_that_is_no_repository_is_one_line(tmp_path):
    with pytest.raises(DifflabError, match="run this in the root of the repository"):
        compose(conf=tmp_path / "conf")


def test_difference_shows_the_changed_lines_only():
    assert difference("a: 1\nb: 2\n", "a: 1\nb: 2\n") == ""
    lines = difference("a: 1\nb: 3\n", "a: 1\nb: 2\n").splitlines()
    assert lines[-2:] == ["-b: 2", "+b: 3"]


def test_a_curve_follows_the_captions_that_its_adapters_were_trained_on(conf):
    for overrides, expected in (
        ([], ("blip2", "llama3", "llama3")),
        (["guidance_curve.captions=blip2"], ("blip2", "llama3", "blip2")),
        (["experiment=sd3_both_captions"], ("both", "both", "both")),
        (["profile=paper"], ("both", "both", "both")),
        (["profile=paper", "trained_on.blip2=blip2", "trained_on.llama3=llama3"], ("blip2", "llama3", "blip2")),
    ):
        params = validate(compose(overrides, conf), "test")
        trained_on = params.trained_on
        assert (trained_on.blip2, trained_on.llama3, params.guidance_curve.trained_on) == expected
        assert trained_on.own == trained_on.blip2
    with pytest.raises(
        DifflabError, match=r"step_curve\.trained_on is both, but adapters are trained on blip2 and llama3"
    ):
        validate(compose(["step_curve.trained_on=both"], conf), "test")

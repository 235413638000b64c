"""conf/ composes params.yaml; profiles and experiments are valid, and every value is explained."""

import functools
import re

import pytest
import yaml

from closure import ROOT
from difflab.cli.compose import choices, compose, difference, validate
from difflab.core.base.errors import DifflabError


@functools.cache
def composed(*overrides: str) -> str:
    return compose(overrides, ROOT / "conf")


def test_params_yaml_is_what_conf_composes(root):
    committed = (root / "params.yaml").read_text()
    assert composed() == committed, "run `difflab compose`:\n" + difference(composed(), committed)


def test_composition_is_that_of_dvc(root, tmp_path):
    """Byte for byte what `dvc exp run -S` would write."""
    from dvc.utils.hydra import compose_and_dump

    overrides = ["profile=smoke", "logit_mean.minus=-0.75", "ddpm.text.training.weight_decay=0.1"]
    output = tmp_path / "params.yaml"
    compose_and_dump(output, str(root / "conf"), None, "config", str(root / "conf"), list(overrides))
    assert compose(overrides, root / "conf") == output.read_text()


@pytest.mark.parametrize("profile", choices("profile", ROOT / "conf"))
def test_every_profile_is_valid(profile):
    params = validate(composed(f"profile={profile}"), profile)
    assert params.profile == profile


@pytest.mark.parametrize("base", choices("base", ROOT / "conf"))
def test_a_base_is_one_model_with_its_own_parts(base, root):
    """And nothing else of the profile changes by it."""
    zoo = validate(compose(["profile=paper", f"base={base}"], root / "conf"), base).zoo
    assert {zoo.transformer.hub.repo_id} == {zoo.vae.hub.repo_id, zoo.text.hub.repo_id}
    published = validate(compose(["profile=paper"], root / "conf"), "paper").zoo
    same = [name for name, role in zoo if name not in ("transformer", "vae", "text")]
    assert all(getattr(zoo, name) == getattr(published, name) for name in same)
    assert (zoo == published) == (base == "sd3-medium")


def test_own_pictures_are_brought_to_the_size_of_the_study(root):
    params = validate(compose(["experiment=own", "data.own='/my pictures/ü (1)'"], root / "conf"), "own")
    assert params.data.celeba_hq.path == "/my pictures/ü (1)"
    assert params.prepare.min_side == params.cache.latents.image_size
    larger = validate(compose(["profile=paper", "experiment=own"], root / "conf"), "own")
    assert larger.prepare.min_side == larger.cache.latents.image_size
    assert larger.trained_on.model_dump() == {"blip2": "both", "llama3": "both", "own": "own"}


@pytest.mark.parametrize(("override", "message"), [
    ("data.own=null", "own is null: give the folder"),
    ("data.coco.source=own", "coco.source is own: pictures of one's own stand in for celeba_hq alone"),
])  # fmt: skip
def test_own_pictures_that_cannot_be_are_refused(override, message, root):
    with pytest.raises(DifflabError, match=message):
        validate(compose(["experiment=own", override], root / "conf"), "own")


@pytest.mark.parametrize("experiment", choices("experiment", ROOT / "conf"))
def test_every_experiment_is_valid_and_changes_a_profile(experiment):
    changes = []
    for profile in ("tiny", "paper"):
        text = composed(f"profile={profile}", f"experiment={experiment}")
        validate(text, experiment)
        changes.append(text != composed(f"profile={profile}"))
    assert any(changes), "an experiment that changes nothing"


@pytest.mark.parametrize("experiment", choices("experiment", ROOT / "conf"))
def test_every_experiment_says_the_command_that_runs_it(experiment, root):
    text = (root / "conf" / "experiment" / f"{experiment}.yaml").read_text()
    assert f"-S experiment={experiment}" in text


def test_the_docs_list_every_experiment(root):
    text = (root / "docs" / "experiments.md").read_text()
    table = text.partition("### Stored experiments")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \| .+ \|$", table, re.MULTILINE) == choices("experiment", root / "conf")


@pytest.mark.parametrize("row", ["pretrained", "minus", "zero", "plus"])
def test_every_row_of_the_published_table_stands_in_the_docs(row, root):
    text = (root / "docs" / "experiments.md").read_text()
    published = yaml.safe_load((root / "src/difflab/report/published.yaml").read_text())["fid"]
    mean = {"pretrained": None, "minus": -0.5, "zero": 0.0, "plus": 0.5}[row]
    (fid,) = (one for one in published if one["logit_mean"] == mean)
    (line,) = (line for line in text.splitlines() if f"`{row}_<captions>_fid`" in line)
    assert [cell.strip() for cell in line.split("|")[2:4]] == [str(fid["blip2"]), str(fid["llama3"])]


# Names of groups, of roles, versions and data sets, and terms of the field.
SELF_EXPLAINING = {
    "balance", "maximum", "prompts", "latents", "caption", "blip2", "llama3", "llama", "gemma", "instruct",
    "language", "diffusion", "transformer", "vae", "vision_encoder", "lora", "rank", "dropout", "decoding",
    "guidance_curve", "guidance_scales", "step_curve", "data", "celeba_hq", "denoise", "denoise_score",
    "ddpm_sample", "single_image_64", "finetune", "generate", "images", "minus", "zero", "plus", "prepare",
    "memorisation", "report", "runtime", "score", "miniature", "schedulers", "guidance", "synthesize",
    "tracking", "qformer", "repo_id", "stable-diffusion-2-1", "sd-turbo", "sdxl-turbo", "0",
    "5-large-turbo", "learning_rate", "weight_decay", "layers_per_block", "num_layers",
    "intermediate_size",
}  # fmt: skip


def test_every_parameter_is_explained_once(root):
    """Each name of conf/study has a comment beside it or above it; where it comes again, that is said once for all.

    What the names themselves say (`training`, `seeds`) needs none.
    """
    explained, names = set(), {}
    for file in sorted((root / "conf" / "study").glob("*.yaml")):
        text = file.read_text()
        assert text.startswith("# @package _global_\n"), file.name
        above = False
        for line in text.splitlines()[1:]:
            code, _, comment = line.partition("#")
            keys = re.findall(r"([\w-]+):(?=\s|$)", code)
            if file.name == "environment.yaml":  # one comment for all
                continue
            names |= dict.fromkeys(keys, file.name)
            if comment or above:
                explained |= set(keys)
            above = bool(comment) and not code.strip()
    assert {name: file for name, file in names.items() if name not in explained | SELF_EXPLAINING} == {}

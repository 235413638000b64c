"""Parameters are checked before any work, and a stage sees those that it declares."""

import pytest
import yaml
from omegaconf import OmegaConf

from difflab.cli.compose import compose, validate
from difflab.core.base.errors import DifflabError
from difflab.core.params import Declared, load_params
from difflab.core.params.loading import addresses, declared_groups, read_pipeline, stage_entry

PIPELINE = {
    "stages": {
        "prepare": {"cmd": "python -m stages.prepare", "params": ["seed", "split"]},
        "finetune": {
            "cmd": "python -m stages.sd3.finetune --logit-mean ${item.logit_mean}",
            "params": ["seed", "logit_mean.${item.logit_mean}", "zoo.common", "zoo.vae"],
            "deps": ["models/${item.logit_mean}/a"],
        },
    }
}


@pytest.fixture(scope="module")
def composed(root):
    return compose(conf=root / "conf")


@pytest.fixture
def write(tmp_path, composed):
    """Write params.yaml with changes given as dotted keys; None deletes."""

    def write(**changes):
        values = OmegaConf.create(composed)
        for key, value in changes.items():
            group, _, name = key.replace("__", ".").rpartition(".")
            parent = OmegaConf.select(values, group) if group else values
            if value is None:
                del parent[name]
            else:
                parent[name] = value
        (tmp_path / "params.yaml").write_text(OmegaConf.to_yaml(values))
        return tmp_path / "params.yaml"

    return write


@pytest.fixture
def pipeline(tmp_path):
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
    return str(tmp_path / "dvc.yaml")


def test_numbers_are_read_as_yaml_1_2_reads_them(write):
    """PyYAML alone takes 1e-1 for text."""
    path = write(split__val_fraction=0.1)
    path.write_text(path.read_text().replace("val_fraction: 0.1", "val_fraction: 1e-1"))
    assert load_params(path).split.val_fraction == 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split__colour": 1}, "unknown parameter 'split.colour'"),
        ({"colour": {"a": 1}}, "unknown parameter 'colour'"),
        ({"split__val_fraction": None}, "parameter 'split.val_fraction' is missing"),
        ({"split__val_fraction": "many"}, r"parameter 'split.val_fraction': .* \(given: 'many'\)"),
        ({"split__val_fraction": 1.5}, r"parameter 'split.val_fraction': .*less than 1 \(given: 1.5\)"),
        ({"split__val_fraction": float("nan")}, r"parameter 'split.val_fraction': .*"),
        ({"runtime__dtype": "float8"}, r"parameter 'runtime.dtype': .*'float32'.* \(given: 'float8'\)"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_key(write, change, message):
    path = write(**change)
    with pytest.raises(DifflabError, match=message) as caught:
        load_params(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("group", ["finetune", "captioner", "generate", "personal"])
@pytest.mark.parametrize(
    ("seeds", "said"),
    [([], "at least"), ([0, 1, 0], "0 is listed twice"), ([0, -1], r"seeds.1': Input should be greater")],
)
def test_seeds_are_non_negative_and_distinct(write, group, seeds, said):
    with pytest.raises(DifflabError, match=said) as caught:
        load_params(write(**{f"{group}__seeds": seeds}))
    assert "\n" not in str(caught.value)


def test_an_absent_file_says_how_to_make_it(tmp_path):
    with pytest.raises(DifflabError, match="run `difflab compose`"):
        load_params(tmp_path / "params.yaml")


def test_checked_values_cannot_be_changed(write):
    params = load_params(write())
    with pytest.raises(ValueError, match="frozen"):
        params.split.seed = 1


def test_a_stage_sees_its_groups_and_no_other(write, pipeline):
    params = load_params(write())
    groups = declared_groups("prepare", {}, pipeline)
    declared = Declared(params, "prepare", groups)
    assert declared.seed == params.seed
    assert declared.split.stratify == params.split.stratify
    with pytest.raises(DifflabError, match=r"stage prepare reads .* 'finetune' but dvc"):
        _ = declared.finetune


def test_a_part_of_a_group_is_declared_by_its_path(write, pipeline):
    params = load_params(write())
    groups = declared_groups("finetune", {"logit_mean": "minus"}, pipeline)
    assert groups == ("seed", "logit_mean.minus", "zoo.common", "zoo.vae")
    declared = Declared(params, "finetune", groups)
    assert declared.logit_mean["minus"] == declared.logit_mean.minus == params.logit_mean.minus
    assert declared.zoo.vae == params.zoo.vae
    for read in (lambda: declared.logit_mean.plus, lambda: declared.zoo.text, lambda: declared.zoo["llama"]):
        with pytest.raises(DifflabError, match="does not declare it"):
            read()


def test_tracking_is_visible_everywhere_because_it_changes_no_result(write, pipeline):
    declared = Declared(load_params(write(tracking__enabled=False)), "prepare", ("seed",))
    assert declared.tracking.enabled is False
    assert declared.as_dict() == {"seed": 0}


def test_declared_values_as_plain_data(write, pipeline):
    params = load_params(write())
    groups = declared_groups("finetune", {"logit_mean": "plus"}, pipeline)
    values = Declared(params, "finetune", groups).as_dict()
    assert list(values) == sorted(set(groups) - {"zoo.common"})  # whose values stand in zoo.vae
    assert values["logit_mean.plus"] == params.logit_mean.plus
    assert values["zoo.vae"] == params.zoo.vae.model_dump(mode="json")


def test_the_matrix_item_is_filled_in_everywhere(pipeline):
    entry = stage_entry("finetune", {"logit_mean": "zero"}, pipeline)
    assert entry["cmd"].endswith("--logit-mean zero")
    assert entry["deps"] == ["models/zero/a"]


def test_an_item_outside_the_matrix_lists_what_there_is(tmp_path):
    stages = {"stages": {"train": {"matrix": {"logit_mean": ["minus", "zero"]}, "cmd": "x ${item.logit_mean}"}}}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(stages))
    path = str(tmp_path / "dvc.yaml")
    assert stage_entry("train", {"logit_mean": "zero"}, path)["cmd"] == "x zero"
    with pytest.raises(DifflabError, match="--logit-mean 'plus' is none of minus, zero"):
        stage_entry("train", {"logit_mean": "plus"}, path)


def test_a_matrix_takes_values_of_params_each_once(tmp_path):
    stages = {"stages": {"train": {"matrix": {"on": ["${on.a}", "${on.b}"], "mean": ["low", "high"]}, "cmd": "x"}}}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(stages, sort_keys=False))
    for values, expected in (("x", "y"), ["x", "y"]), (("x", "x"), ["x"]):
        (tmp_path / "params.yaml").write_text(yaml.safe_dump({"on": dict(zip("ab", values, strict=True))}))
        cells = [f"train@{on}-{mean}" for on in expected for mean in ("low", "high")]
        assert addresses(str(tmp_path / "dvc.yaml")) == cells
    with pytest.raises(DifflabError, match="--on 'y' is none of x"):
        stage_entry("train", {"on": "y", "mean": "low"}, str(tmp_path / "dvc.yaml"))


def test_a_foreach_is_a_matrix_whose_items_carry_values(tmp_path):
    do = {"cmd": "x --setting ${key}", "deps": ["data/${item.dataset}"], "outs": ["models/${key}"]}
    stages = {"ddpm": {"foreach": {"text": {"dataset": "mnist"}, "latent": {"dataset": "cifar10"}}, "do": do}}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    path = str(tmp_path / "dvc.yaml")
    entry = stage_entry("ddpm", {"setting": "text"}, path)
    assert (entry["cmd"], entry["deps"], entry["outs"]) == ("x --setting text", ["data/mnist"], ["models/text"])
    assert addresses(path) == ["ddpm@text", "ddpm@latent"]
    with pytest.raises(DifflabError, match="--setting 'pixels' is none of text, latent"):
        stage_entry("ddpm", {"setting": "pixels"}, path)


def test_an_unknown_stage_lists_the_known_ones(pipeline):
    with pytest.raises(DifflabError, match="no stage 'train'; it has finetune, prepare"):
        stage_entry("train", {}, pipeline)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("generate.seeds=[0,0]", "parameter 'generate.seeds': 0 is listed twice"),
        ("generate.seeds=[-1]", "parameter 'generate.seeds.0': Input should be greater than or equal to 0"),
        ("ddpm_sample.common.seeds=[-1]", "seeds.0': Input should be greater than or equal to 0"),
        ("guidance_curve.guidance_scales=[-1.0]", "guidance_scales.0': Input should be greater than or equal to 0"),
        ("memorisation.settings=[text,text]", "'text' is listed twice"),
        ("zoo.image_vae.norm_num_groups=7", "norm_num_groups 7 does not divide the width 16"),
        ("finetune.lora.targets=[attn,attn]", "'attn' is listed twice"),
        ("finetune.lora.blocks=[1,1]", "give 'all' or different block numbers from 0 on"),
        ("finetune.lora.blocks=[]", "give 'all' or different block numbers from 0 on"),
        ("runtime.device=nonsense", "parameter 'runtime.device': String should match"),
        ("zoo.vae.norm_num_groups=7", "parameter 'zoo.vae': norm_num_groups 7 does not divide the width 16"),
        ("finetune.lora.rank=512", "finetune.lora.rank is 512, above the width 128"),
        ("captioner.lora.rank=1000", "captioner.lora.rank is 1000, above the width"),
        ("finetune.lora.targets=[att]", "'att' matches no linear layer; did you mean 'attn' or 'attn2'"),
        ("captioner.lora.targets=[qproj]", "'qproj' matches no linear layer; did you mean 'q_proj'"),
        ("finetune.lora.blocks=[9]", "finetune.lora.blocks has 9: the transformer has 0 to 2"),
        ("finetune.adapter_steps=[]", "adapter_steps is empty: step_curve measures"),
        ("captioner.seeds=[0]", "caption_score pairs the trainings of two or more"),
        ("captioner.patch_pooling=3", "patch_pooling is 3, which does not divide the 4 x 4 patches"),
        ("generate.num_inference_steps=1001", "num_inference_steps': Input should be less than or equal to 1000"),
        (
            "sweep.presets.steps.num_inference_steps=[0]",
            "num_inference_steps.0': Input should be greater than or equal to 1",
        ),
        ("ddpm_sample.single_image_32.num_inference_steps=30", "ddim needs a divisor of .* 1000"),
        ("process.num_inference_steps=30", "ddim needs a divisor of .* 1000"),
        ("process.num_images=19", "20 images are needed"),
        ("process.words=[a cat]", "process.words: 'a cat' has the unknown word 'cat': the model learns 0, 1, "),
        ("process.words=[the digit 3 the digit]", "has 5 words, the model reads 3"),
        ("process.words=['??']", "process.words: '..' has no word"),
        ("runtime.dtype=float16", "runtime.dtype is float16, in which nothing trains"),
        ("synthesize.scheduler=flow-match", "zoo.diffusion trains no flow model"),
        (
            "ddpm.text.training.condition_dropout=0",
            "guidance_scale is 2, but ddpm.text.training.condition_dropout is 0",
        ),
        ("zoo.diffusion.prompt_dropout=0", "guidance_scale is .*, but zoo.diffusion.prompt_dropout is 0"),
        ("data.cifar10.url=ftp://a", "an http.s. address is needed"),
        ("seed=-1", "parameter 'seed': Input should be greater than or equal to 0"),
        ("seed=9223372036854775808", "parameter 'seed': Input should be less than 9223372036854775808"),
        ("finetune.adapter_steps=[9999]", r"adapter_steps has 9999, but training.steps is \d+$"),
    ],
)
def test_what_cannot_run_is_refused_before_it_runs(override, message, root):
    with pytest.raises(DifflabError, match=message):
        validate(compose([override], root / "conf"), "test")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stages: [", "is not valid YAML"),
        ("", "has no stages"),
        ("stages: {mix: {deps: [a]}}", r"is damaged \(stage 'mix'\): `git diff dvc.yaml`"),
        ("stages: {mix: {cmd: a, matrix: {x: words}}}", r"is damaged \(stage 'mix'\)"),
        ("stages: {mix: {foreach: {a: b}, do: {cmd: a}}}", r"is damaged \(stage 'mix'\)"),
        (None, r"is missing: run this in the root of the repository"),
    ],
)
def test_a_broken_pipeline_file_is_one_line(tmp_path, text, message):
    path = tmp_path / "dvc.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DifflabError, match=message) as caught:
        read_pipeline(str(path))
    assert "\n" not in str(caught.value)


def test_an_axis_that_asks_for_an_unknown_parameter_is_one_line(tmp_path):
    (tmp_path / "dvc.yaml").write_text("stages: {mix: {cmd: a, matrix: {x: ['${sizes.smal}']}}}")
    with pytest.raises(DifflabError, match=r"dvc.yaml asks for \$\{sizes.smal\}, which params.yaml lacks"):
        addresses(str(tmp_path / "dvc.yaml"), {"sizes": {"small": 1}})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("finetune.lora.alpha=true", "'finetune.lora.alpha': a number is needed"),
        ("generate.num_images=50", "generate.num_images is 50, below score.min_images 100"),
        ("logit_mean.minus=1000", "'logit_mean.minus': Input should be less than or equal to 10"),
    ],
)
def test_values_that_cannot_work_are_refused_before_any_work(override, message, root):
    with pytest.raises(DifflabError, match=message):
        validate(compose([override], root / "conf"), "params.yaml")


def test_groups_give_their_values_by_name_too():
    params = load_params("params.yaml")
    assert params.ddpm["text"] is params.ddpm.text


def test_a_group_takes_what_it_does_not_give_from_common(root):
    text = compose(["ddpm.common.training.weight_decay=0.5", "ddpm.text.training.weight_decay=0.25"], root / "conf")
    ddpm = validate(text, "params.yaml").ddpm
    assert ddpm.text.training.weight_decay == 0.25
    others = [setting for setting in ddpm.groups() if setting != "text"]
    assert {ddpm[setting].training.weight_decay for setting in others} == {0.5}


def test_common_reaches_the_members_of_a_family_in_a_family(root):
    zoo = validate(compose(["zoo.common.training.weight_decay=0.5"], root / "conf"), "params.yaml").zoo
    assert zoo.classifier.mnist.training.weight_decay == zoo.llama.training.weight_decay == 0.5
    assert zoo.vae.training.weight_decay == 0.0001  # its own


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+ddpm.common.training.rate=1", "parameter 'ddpm': 'common.training.rate' is a parameter of none"),
        ("ddpm.text.training.rate=1", "unknown parameter 'ddpm.text.training.rate'"),
    ],
)
def test_a_wrong_name_in_an_open_group_is_refused(override, message, root):
    with pytest.raises(DifflabError, match=message):
        validate(compose([override], root / "conf"), "params.yaml")


def test_a_member_is_not_read_without_what_it_takes_from_common(write):
    params = load_params(write())
    with pytest.raises(DifflabError, match=r"reads the parameter group 'ddpm\.common'"):
        Declared(params, "ddpm", ("ddpm.text",)).ddpm["text"]
    assert Declared(params, "ddpm", ("ddpm.text", "ddpm.common")).ddpm["text"].channels == 1

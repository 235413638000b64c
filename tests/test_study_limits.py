"""Values of one group that another group's value rules out are refused by one line, before any stage runs."""

import copy

import pytest

from difflab.core.base.errors import DifflabError
from difflab.core.params.loading import check_params, read_values

HUB = {"repo_id": "a/b", "revision": None, "subfolder": None, "allow_patterns": None}


@pytest.fixture(scope="module")
def values(root):
    return read_values(root / "params.yaml")


def changed(values, **changes):
    """The checked parameters with some other values, by dotted key with `__` for a point."""
    values = copy.deepcopy(values)
    for key, value in changes.items():
        *groups, name = key.split("__")
        node = values
        for group in groups:
            node = node.setdefault(group, {})
        node[name] = value
    return check_params(values, "test")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(zoo__transformer__hub=HUB), r"zoo\.transformer\.hub is a/b and zoo\.vae\.hub is null: .* give all three"),
        (
            dict(cache__prompts__max_sequence_length=20),
            r"max_sequence_length is 20, and zoo\.transformer\.max_sequence_length 13: .* give both the same",
        ),
        (
            dict(split__max_rows=200),
            r"of 200 rows the split val gets 20, and score needs 100 of it: raise split\.max_rows",
        ),
        (
            dict(personal__lora__targets=["to_q", "nosuch"]),
            r"personal\.lora\.targets: 'nosuch' matches no linear layer",
        ),
        (
            dict(personal__lora__text_targets=["q_prj"]),
            r"personal\.lora\.text_targets: 'q_prj' .*did you mean 'q_proj'",
        ),
        (dict(personal__lora__rank=1000), r"personal\.lora\.rank is 1000, above the width 96"),
        (
            dict(sweep__presets__guidance__guidance_scales=[3.0, 3.0000001]),
            r"3\.0 and 3\.0000001 have the same name in results, 3",
        ),
        (
            dict(sweep__presets__guidance__guidance_scales=[3.0000001]),
            r"presets list guidance 3\.0 and 3\.0000001, whose cells have the same name",
        ),
        (dict(guidance_curve__guidance_scales=[1.0, 1.0000001]), "have the same name in results"),
        (dict(personal__base__scheduler="flow-match"), "its base is no flow model: take ddim or euler"),
        (
            dict(zoo__diffusion__prompt_dropout=0, synthesize__guidance_scale=1.0),
            r"personal\.base\.guidance_scale is 1\.5, but zoo\.diffusion\.prompt_dropout is 0",
        ),
        (dict(personal__base__num_inference_steps=600), "which cover 600 of 1000 levels of noise by ddim: take 1000"),
        (dict(synthesize__scheduler="ddim", synthesize__num_inference_steps=300), "cover 900 of 1000 .*: take 500"),
        (
            dict(images__max_images__scenes=16),
            r"single_image_32\.image is 16, and images\.max_images\.scenes 16: images are counted from 0",
        ),
        (dict(images__image_size__cifar10=30), "is 30, which zoo.image_vae cannot halve 2 times"),
        (dict(images__image_size__cifar10=12), "latents of 3 x 3, which must be a multiple of 2"),
        (
            dict(images__max_images__recipes=150),
            r"captioner\.originals lists 150, but images\.max_images\.recipes is 150",
        ),
    ],
)
def test_groups_that_do_not_go_together_are_refused(values, changes, message):
    with pytest.raises(DifflabError, match=message) as caught:
        changed(values, **changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        dict(split__max_rows=1000),
        dict(personal__base__num_inference_steps=7),  # 994 of 1,000 levels
        dict(personal__base__scheduler="euler", personal__base__num_inference_steps=600),
        dict(images__max_images__scenes=17, images__max_images__recipes=400),
        dict(captioner__originals=[None], images__max_images__recipes=60),
    ],
)
def test_what_goes_together_is_taken(values, changes):
    changed(values, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(score__min_images=3), "score.min_images': Input should be greater than or equal to 4"),
        (dict(ddpm_sample__latent__num_images=3), "num_images': Input should be greater than or equal to 4"),
        (dict(ddpm_sample__text__guidance_scale=1e300), "guidance_scale': Input should be less than or equal to 100"),
        (dict(generate__guidance_scale=1e300), "guidance_scale': Input should be less than or equal to 100"),
        (dict(sweep__presets__common__guidance_scales=[-1.0]), "Input should be greater than or equal to 1"),
        (dict(sweep__presets__steps__num_inference_steps=[1001]), "Input should be less than or equal to 1000"),
        (dict(personal__base__num_inference_steps=1001), "Input should be less than or equal to 1000"),
        (
            dict(denoise__unet__block_out_channels=[0]),
            "block_out_channels.0': Input should be greater than or equal to 1",
        ),
        (
            dict(zoo__diffusion__block_out_channels=[0]),
            "block_out_channels.0': Input should be greater than or equal to 1",
        ),
        (dict(ddpm__common__unet__patch_size=True), "patch_size': a number is needed"),
        (dict(ddpm__latent__unet__attention_levels=[1, 1]), "1 is listed twice"),
        (dict(process__words=["three", "three"]), "'three' is listed twice"),
        (dict(split__stratify__miniature=["Large", "Large"]), "'Large' is listed twice"),
        (dict(personal__image_size=30), "image_size': Input should be a multiple of 8"),
        (dict(runtime__num_threads=10**7), "num_threads': Input should be less than or equal to 1024"),
        (dict(data__data_root=""), "data_root': String should have at least 1 character"),
        (dict(titles__max_length=1), "max_length': Input should be greater than or equal to 8"),
    ],
)
def test_values_that_a_stage_could_not_use_are_refused(values, changes, message):
    with pytest.raises(DifflabError, match=message):
        changed(values, **changes)

"""The parameters of a rehearsal are valid, small, and let every archive lie in the data root."""

from functools import cache

import pytest

from difflab.cli.compose import choices, compose
from difflab.cli.rehearse import parameters
from difflab.core.params.base import dotted
from difflab.core.params.loading import addresses, check_params, parse_yaml
from difflab.rehearsal.few import Sizes

SIZES = Sizes(images=8, steps=2, size=64, width=64, on_gpu=False)


@cache
def composed(conf, *overrides):
    return compose(overrides, conf)


def made(root, *overrides, sizes=SIZES):
    """The composed values, those of the rehearsal, and the paths of its archives."""
    values = parse_yaml(composed(root / "conf", *overrides), "composed")
    return values, *parameters(values, overrides, sizes)


@pytest.mark.parametrize("profile", ["paper", "laptop", "smoke", "tiny"])
def test_every_profile_stays_valid(root, profile):
    assert profile in choices("profile", root / "conf")
    for steps in (1, 3):
        _, few, _ = made(root, f"profile={profile}", sizes=SIZES._replace(steps=steps))
        check_params(few, "the rehearsal")


def test_steps_pictures_and_networks_are_few(root):
    _, few, _ = made(root, "profile=paper")
    values = dotted(few)
    for name, value in values.items():
        if value is None:
            continue
        if name.endswith(("training.steps", "num_inference_steps", "v0_steps")) and "gemma" not in name:
            assert max(value if isinstance(value, list) else [value]) <= 2, name
        if name in ("blocks.steps", "blocks.ablated_images", "blocks.held_out_samples", "blocks.mean_samples"):
            assert value <= 4, name  # a quarter of the rows is held out, six of 24
        if name.endswith("block_out_channels"):
            assert max(value) <= 64, name
        if name.endswith("batch_size") and "gemma" not in name:
            assert value <= 4, name
        if name.endswith("seeds"):
            assert len(value) <= 2, name
    assert values["cache.latents.image_size"] == 64
    assert values["runtime.dtype"] == "float32"


def test_no_stage_of_the_profile_is_left_out(root):
    pipeline = str(root / "dvc.yaml")
    for profile in ("paper", "tiny"):
        values, few, _ = made(root, f"profile={profile}")
        assert addresses(pipeline, few) == addresses(pipeline, values)


def test_full_size_keeps_batches_and_networks(root):
    values, few, _ = made(root, "profile=paper", sizes=SIZES._replace(width=None, on_gpu=True, size=1024))
    was, now = dotted(values), dotted(few)
    kept = [n for n in was if n.endswith(("batch_size", "block_out_channels", "lora.rank")) or n.startswith("runtime")]
    assert len(kept) > 20
    assert {n: now[n] for n in kept} == {n: was[n] for n in kept}
    assert now["cache.latents.image_size"] == 1024


def test_overrides_are_kept(root):
    given = (
        "profile=paper",
        "generate.batch_size=7",
        "finetune.lora={rank: 3, alpha: 2.0, targets: [attn], blocks: all}",
    )
    _, few, _ = made(root, *given, "++captioner.seeds=[0,1,2]", "hardware=24gb")
    assert few["generate"]["batch_size"] == 7
    assert few["finetune"]["lora"]["rank"] == 3
    assert few["captioner"]["seeds"] == [0, 1, 2]
    assert few["generate"]["vae"] == "sliced"


def test_archives_that_would_be_fetched_lie_in_the_data_root(root):
    _, few, paths = made(root, "profile=paper")
    assert set(paths) == {"celeba_hq", "celeba", "cifar10", "mnist", "scenes", "coco", "recipes", "subjects"}
    assert few["data"]["cifar10"]["source"] == "data_root"
    assert few["data"]["cifar10"]["sha256"] is None
    others = made(root, "profile=paper", sizes=SIZES._replace(images=9))[1]
    assert few["data"]["data_root"] != others["data"]["data_root"]  # so that DVC acquires them again
    _, few, paths = made(root, "profile=laptop")
    assert "recipes" not in paths  # of the miniature
    assert paths["weights of cifar10"] == "weights/cifar10-resnet20.safetensors"

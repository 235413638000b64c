"""Captions that came with the pictures, as a third kind: BLIP-2's stand in where there is none."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from difflab.core.base.files import read_csv, read_json
from difflab.core.base.roles import fingerprint
from difflab.core.base.store.captions import write_captions
from difflab.core.base.store.image_store import ImageStore
from difflab.sd3.artifacts.cells import OWN, PUBLISHED, captions_path, kinds, read_kind
from difflab.sd3.artifacts.prompt_embeds import open_prompts
from difflab.sd3.caching.prompt_writer import write_prompts
from difflab.sd3.params import TrainedOnParams
from fakes import sd3_study


@pytest.fixture
def study(tmp_path, root, monkeypatch):
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(tmp_path)
    sd3_study.make_study(tmp_path)
    return tmp_path


def give_captions() -> list[str]:
    """Two own captions for every other picture, and a prompt cache of all kinds."""
    ids = ImageStore("data/celeba_hq").ids
    rows = [(id, variant, f"{variant} of {id}", "0" * 64) for id in ids[::2] for variant in ("own", "own-1")]
    write_captions(captions_path(OWN), pd.DataFrame(rows, columns=["id", "variant", "caption", "source_sha256"]))
    captions = pd.concat([read_kind(kind) for kind in kinds()], ignore_index=True)
    write_prompts(
        Path("data/prompt_embeds"), captions, sd3_study.FakeEncoders(), fingerprint("models/zoo/text"),
        dtype=torch.float32, batch_size=4, shard_size=8, scratch=Path("caching"),
    )  # fmt: skip
    return ids


def test_a_study_whose_pictures_came_without_has_two_kinds(study):
    assert kinds() == PUBLISHED
    give_captions()
    assert kinds() == (*PUBLISHED, OWN)


def test_pictures_without_an_own_caption_have_the_short_one(study):
    ids = give_captions()
    found = read_kind(OWN).set_index(["variant", "id"])["caption"]
    for variant in ("own", "own-1"):
        assert found[variant][ids[0]] == f"{variant} of {ids[0]}"
        assert found[variant][ids[1]] == "a cat"
    assert len(found) == 2 * len(ids)
    open_prompts(kinds())  # the cache holds every one of them


def test_own_captions_are_trained_on_and_drawn_from(study):
    from stages.sd3 import finetune, generate

    give_captions()
    for kind in kinds():
        finetune.main(sd3_study.Sd3Stage(scratch=f"scratch-{kind}"), captions=kind, logit_mean="zero")
    stage = sd3_study.Sd3Stage()
    stage.params.trained_on = {kind: kind for kind in kinds()}
    generate.main(stage, adapter="zero")
    assert "2 images for each of 3 kinds" in stage.said
    assert Path("data/generated/zero/own/training-0.zip").exists()


def test_without_own_captions_their_cell_trains_nothing_and_says_so(study):
    from stages.sd3 import finetune

    stage = sd3_study.Sd3Stage()
    finetune.main(stage, captions=OWN, logit_mean="zero")
    assert stage.said.startswith("nothing to train: no picture came with a caption")
    assert list(Path("models/finetune/own-zero").iterdir()) == []
    assert read_csv("plots/finetune/own-zero.csv").empty
    assert read_json("metrics/finetune/own-zero.json") == {"trainings": 0}


@pytest.mark.parametrize("own", ["own", "blip2", "llama3"])
def test_own_prompts_go_to_adapters_of_any_kind(own):
    assert TrainedOnParams(blip2="blip2", llama3="llama3", own=own)["own"] == own


@pytest.mark.parametrize(("given", "message"), [
    ({"blip2": "own", "llama3": "llama3", "own": "own"}, "blip2 is 'own': give blip2 or both"),
    ({"blip2": "both", "llama3": "both", "own": "blip2"}, "own is 'blip2', on which no other kind's adapters are trained"),
    ({"blip2": "blip2", "llama3": "llama3"}, "the kinds of captions are blip2, llama3, own"),
])  # fmt: skip
def test_a_design_that_cannot_be_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        TrainedOnParams(**given)
